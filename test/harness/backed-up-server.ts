import assert from "node:assert/strict";
import { join } from "node:path";
import { captureBaseBackup } from "../../src/capture/base-backup.ts";
import { systemClock } from "../../src/core/clock.ts";
import { newObjectId } from "../../src/core/ids.ts";
import { toWalSegmentSize } from "../../src/core/lsn.ts";
import type { BaseBackupManifest } from "../../src/repository/base-backup-set.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import type { Store } from "../../src/storage/store.ts";
import { makePhysicalArchive } from "./physical-archive.ts";
import { type PostgresServer, makeServerFolder, startPostgresServer } from "./postgres-server.ts";
import { KEEP_WAL, StoredWal } from "./stored-wal.ts";
import type { CleanUp } from "./temp-folder.ts";

/** One commit of the ledger, as recorded outside of the database. */
export interface LedgerEntry {
  readonly id: number;
  /** Of the commit, as the server stamped it. */
  readonly time: string;
  /** The log's end right after it. */
  readonly lsn: string;
  readonly xid: number;
}

const SEGMENT_SIZE = toWalSegmentSize(1024 * 1024);

/** A server with everything that a base backup treats in its own way, its backups, and a ledger of commits. */
export class BackedUpServer {
  readonly server: PostgresServer;
  readonly archive: PhysicalArchive;
  readonly wal: StoredWal;
  readonly entries: LedgerEntry[] = [];
  #nextId = 1;

  /**
   * @param options.wrap what lies between the repository and its folder
   * @param options.archive another server's, whose place this one takes: it begins a lineage of its own
   */
  static async open(
    cleanUp: CleanUp,
    options: { readonly wrap?: (store: Store) => Store; readonly archive?: PhysicalArchive } = {},
  ): Promise<BackedUpServer> {
    const server = await startPostgresServer(cleanUp, {
      segmentSizeMb: 1,
      settings: { ...KEEP_WAL, track_commit_timestamp: "on", max_prepared_transactions: "5" },
    });
    const archive = options.archive ?? (await makePhysicalArchive(cleanUp, options.wrap));
    const wal = await StoredWal.begin(archive, server, SEGMENT_SIZE);
    await makeServerFolder(join(server.folder, "space"));
    await server.query(`create tablespace extra location '${join(server.folder, "space")}'`);
    await server.query("create table ledger (id int primary key, note text)");
    await server.query("create table elsewhere (id int primary key) tablespace extra");
    await server.query("create unlogged table fleeting (id int)");
    await server.query("insert into elsewhere select generate_series(1, 1000)");
    await server.query("insert into fleeting select generate_series(1, 1000)");
    await server.query("create table load (id bigint generated always as identity primary key, body text)");
    return new BackedUpServer(server, archive, wal);
  }

  private constructor(server: PostgresServer, archive: PhysicalArchive, wal: StoredWal) {
    this.server = server;
    this.archive = archive;
    this.wal = wal;
  }

  /** A folder that the server may use for a tablespace. */
  async makeFolder(path: string): Promise<void> {
    await makeServerFolder(path);
  }

  /** Commits one row, and records the commit. */
  async commit(): Promise<LedgerEntry> {
    const id = this.#nextId++;
    const [row] = await this.server.query<{ xid: string }>(
      "insert into ledger values ($1::int, md5($1::int::text)) returning pg_current_xact_id()::text as xid",
      [id],
    );
    const [facts] = await this.server.query<{ time: string; lsn: string }>(
      `select to_char(pg_xact_commit_timestamp($1::text::xid) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time,
              pg_current_wal_flush_lsn()::text as lsn`,
      [row?.xid],
    );
    assert.ok(row !== undefined && facts !== undefined);
    const entry = { id, xid: Number(row.xid), ...facts };
    this.entries.push(entry);
    return entry;
  }

  /** So many commits, then everything is stored. */
  async commitAndStore(count: number): Promise<void> {
    for (let made = 0; made < count; made++) await this.commit();
    await this.wal.store();
  }

  /** What the ledger holds when this is its last commit. */
  idsUntil(entry: LedgerEntry): string {
    return this.entries
      .filter(({ id }) => id <= entry.id)
      .map(({ id }) => id)
      .join(",");
  }

  /** Takes a base backup while clients write. */
  async backUp(): Promise<BaseBackupManifest> {
    const stop = new AbortController();
    const writing = Promise.all([this.#write(stop.signal), this.#write(stop.signal)]);
    const backup = await captureBaseBackup(
      this.archive,
      {
        backupId: newObjectId(new Date()),
        lineage: this.wal.lineage,
        systemId: this.wal.systemId,
        label: "tidemark test",
        checkpoint: "fast",
        target: { client: this.server.client(), applicationName: "tidemark_test" },
        clock: systemClock,
        waitForWal: async () => void (await this.wal.store()),
      },
      new AbortController().signal,
    ).finally(() => stop.abort());
    await writing;
    return backup;
  }

  async #write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted)
      await this.server.query("insert into load (body) select repeat(md5(n::text), 20) from generate_series(1, 200) n");
  }
}

/** The ledger's ids in a server, in the form of `idsUntil`. */
export async function ledgerOf(server: PostgresServer): Promise<string> {
  return server.value("select coalesce(string_agg(id::text, ',' order by id), '') from ledger");
}
