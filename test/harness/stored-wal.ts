import { open } from "node:fs/promises";
import { join } from "node:path";
import { newObjectId } from "../../src/core/ids.ts";
import {
  type Lsn,
  type WalSegmentSize,
  advanceLsn,
  lsnDistance,
  minLsn,
  parseLsn,
  segmentName,
  segmentOffset,
  segmentStart,
  toTimelineId,
} from "../../src/core/lsn.ts";
import { writeLineage } from "../../src/repository/lineages.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import type { LineageId } from "../../src/repository/physical-layout.ts";
import { storeHistory, storeWalPiece } from "../../src/repository/wal-archive.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** The server must keep what isn't stored yet. */
export const KEEP_WAL = { wal_keep_size: "8GB" } as const;

/** Stores a server's WAL by reading its files, in pieces that end where each call found the log's end. */
export class StoredWal {
  readonly lineage: LineageId;
  readonly systemId: string;
  readonly #archive: PhysicalArchive;
  readonly #server: PostgresServer;
  readonly #segmentSize: WalSegmentSize;
  #timeline = 1;
  #storedUntil: Lsn;

  static async begin(
    archive: PhysicalArchive,
    server: PostgresServer,
    segmentSize: WalSegmentSize,
  ): Promise<StoredWal> {
    const systemId = await server.value("select system_identifier::text from pg_control_system()");
    const lineage = newObjectId(new Date());
    const createdAt = new Date().toISOString();
    await writeLineage(archive, {
      format: 1,
      lineage,
      systemId,
      segmentSizeBytes: segmentSize,
      createdAt,
      reason: "first",
    });
    const start = segmentStart(parseLsn(await server.value("select pg_current_wal_flush_lsn()")), segmentSize);
    return new StoredWal({ archive, server, segmentSize, lineage, systemId, start });
  }

  private constructor(known: {
    archive: PhysicalArchive;
    server: PostgresServer;
    segmentSize: WalSegmentSize;
    lineage: LineageId;
    systemId: string;
    start: Lsn;
  }) {
    this.#archive = known.archive;
    this.#server = known.server;
    this.#segmentSize = known.segmentSize;
    this.lineage = known.lineage;
    this.systemId = known.systemId;
    this.#storedUntil = known.start;
  }

  /** The same lineage, from a server that goes on with it. */
  onServer(server: PostgresServer): StoredWal {
    return new StoredWal({
      archive: this.#archive,
      server,
      segmentSize: this.#segmentSize,
      lineage: this.lineage,
      systemId: this.systemId,
      start: this.#storedUntil,
    });
  }

  /** Stores everything that the server has flushed. @returns the end */
  async store(): Promise<Lsn> {
    const end = parseLsn(await this.#server.value("select pg_current_wal_flush_lsn()"));
    await this.storeUntil(end);
    return end;
  }

  async storeUntil(end: Lsn): Promise<void> {
    while (this.#storedUntil < end) {
      const start = segmentStart(this.#storedUntil, this.#segmentSize);
      const to = minLsn(end, advanceLsn(start, this.#segmentSize));
      await this.#storePiece(this.#storedUntil, to);
      this.#storedUntil = to;
    }
  }

  /** Passes over what the server has flushed, as a receiver whose slot was lost. */
  async skip(): Promise<void> {
    this.#storedUntil = parseLsn(await this.#server.value("select pg_current_wal_flush_lsn()"));
  }

  /** After a promotion: the history first, then the new timeline's first segment from its beginning. */
  async follow(timeline: number, history: string, switchPoint: Lsn): Promise<void> {
    await storeHistory(this.#archive, { lineage: this.lineage, timeline: toTimelineId(timeline) }, history, []);
    this.#timeline = timeline;
    this.#storedUntil = segmentStart(switchPoint, this.#segmentSize);
  }

  async #storePiece(from: Lsn, to: Lsn): Promise<void> {
    const timeline = toTimelineId(this.#timeline);
    const segment = segmentName(timeline, from, this.#segmentSize);
    const offset = segmentOffset(from, this.#segmentSize);
    const bytes = Buffer.alloc(lsnDistance(from, to));
    const file = await open(join(this.#server.dataFolder, "pg_wal", segment), "r");
    await file.read(bytes, 0, bytes.length, offset);
    await file.close();
    const place = { lineage: this.lineage, timeline, segment, from: offset, to: offset + bytes.length };
    await storeWalPiece(this.#archive, place, async function* () {
      yield bytes;
    });
  }
}
