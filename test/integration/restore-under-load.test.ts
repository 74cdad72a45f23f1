import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { Client } from "pg";
import { captureBaseBackup } from "../../src/capture/base-backup.ts";
import { systemClock } from "../../src/core/clock.ts";
import { newObjectId } from "../../src/core/ids.ts";
import { type Lsn, parseLsn } from "../../src/core/lsn.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import {
  type PostgresServer,
  program,
  runProgram,
  serverUser,
  startPostgresServer,
} from "../harness/postgres-server.ts";
import { restore } from "../harness/restored-server.ts";
import { receiveWal, until } from "../harness/wal-scene.ts";

const CLIENTS = 4;
/** Commits that the ledger has before the server is killed: after the base backup, so that the log brings them. */
const COMMITS_AFTER_BACKUP = 400;

/** What one client was told: this row is committed, and the log had reached this position then. */
interface Acknowledged {
  readonly id: string;
  readonly lsn: Lsn;
}

/** Clients that commit rows until the server is gone, and note outside of it what they were told. */
class Ledger {
  readonly acknowledged: Acknowledged[] = [];
  readonly attempted = new Set<string>();
  readonly #work: Promise<void>[];

  constructor(server: PostgresServer) {
    this.#work = Array.from({ length: CLIENTS }, (_, index) => this.#commit(server, index));
  }

  /** Resolves when all have lost their connection. */
  async ended(): Promise<void> {
    await Promise.all(this.#work);
  }

  async #commit(server: PostgresServer, index: number): Promise<void> {
    const client = new Client(server.client());
    client.on("error", () => undefined); // the server is killed: the next query meets it
    await client.connect();
    try {
      for (let count = 0; ; count++) {
        const id = `${index}-${count}`;
        this.attempted.add(id);
        await client.query("insert into ledger values ($1)", [id]);
        const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_insert_lsn()::text as lsn");
        this.acknowledged.push({ id, lsn: parseLsn(rows[0]?.lsn ?? "") });
      }
    } catch {
      // The end of the server, which is the end of the ledger.
    }
  }
}

test("every commit acknowledged before the last confirmed flush comes back after the server was killed under load", async (t) => {
  const server = await startPostgresServer(t, { settings: { max_wal_size: "64MB" } });
  const archive = await makePhysicalArchive(t);
  await server.query("create table ledger (id text primary key)");
  await runProgram("pgbench", ["--host", server.folder, "--username=postgres", "--initialize", "--quiet", "postgres"]);
  const { receiver } = await receiveWal(t, server, archive);
  await until(receiver, ({ durable }) => durable !== undefined);

  const pgbench = spawn(
    program("pgbench"),
    ["--host", server.folder, "--username=postgres", "--client=3", "--time=600", "--no-vacuum", "postgres"],
    { stdio: "ignore", cwd: "/", ...(await serverUser()) },
  );
  t.after(async () => void pgbench.kill("SIGKILL"));
  const benchEnded = once(pgbench, "exit");
  const ledger = new Ledger(server);
  const { lineage } = receiver.status;
  assert.ok(lineage !== undefined);
  await captureBaseBackup(
    archive,
    {
      backupId: newObjectId(new Date()),
      lineage,
      systemId: await server.value("select system_identifier::text from pg_control_system()"),
      label: "tidemark test",
      checkpoint: "fast",
      target: { client: server.client(), applicationName: "tidemark_backup" },
      clock: systemClock,
      waitForWal: ({ stop }) => until(receiver, ({ durable }) => durable !== undefined && durable.lsn >= stop),
    },
    t.signal,
  );
  const goal = ledger.acknowledged.length + COMMITS_AFTER_BACKUP;
  await until(receiver, () => ledger.acknowledged.length >= goal);
  await server.kill();
  await Promise.all([ledger.ended(), benchEnded]);
  const confirmed = receiver.status.durable?.lsn;
  assert.ok(confirmed !== undefined);

  const { folder } = await restore(t, archive, { target: { kind: "latest" } });
  const copy = await startPostgresServer(t, { dataFolder: folder });
  const rows = await copy.query<{ id: string }>("select id from ledger");
  const restored = new Set(rows.map(({ id }) => id));
  const promised = ledger.acknowledged.filter(({ lsn }) => lsn <= confirmed);
  assert.ok(promised.length > COMMITS_AFTER_BACKUP / 2, `${promised.length} commits were confirmed`);
  assert.deepEqual(
    promised.filter(({ id }) => !restored.has(id)),
    [],
  );
  assert.deepEqual(
    [...restored].filter((id) => !ledger.attempted.has(id)),
    [],
  );
  // Each transaction of pgbench adds one number to four tables: a half of one would show.
  const balances = `select (select sum(delta) from pgbench_history) = (select sum(abalance) from pgbench_accounts)
    and (select sum(abalance) from pgbench_accounts) = (select sum(tbalance) from pgbench_tellers)
    and (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches)`;
  assert.equal(await copy.value(balances), "true");
  await copy.query("create extension amcheck");
  const where = ["--host", copy.folder, "--port", "5432", "--username=postgres", "--all"];
  await runProgram("pg_amcheck", [...where, "--heapallindexed", "--parent-check"]);
});
