/**
 * Makes a fixture of the repository's format for continuous backups: one of every kind of object, as this program writes it today.
 *
 *   node scripts/make-physical-fixture.ts test/fixtures/format-1-physical
 *
 * For a new version of the format only: a fixture that exists shows what an older program wrote, and is never made again.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { captureBaseBackup } from "../src/capture/base-backup.ts";
import { systemClock } from "../src/core/clock.ts";
import { newObjectId } from "../src/core/ids.ts";
import {
  type SegmentName,
  advanceLsn,
  historyFileName,
  parseLsn,
  segmentName,
  segmentOffset,
  toTimelineId,
  toWalSegmentSize,
} from "../src/core/lsn.ts";
import { createDatabaseKey, unwrapDatabaseKey } from "../src/keys/database-key.ts";
import { openMasterKey } from "../src/keys/master-key.ts";
import { parseTimelineHistory } from "../src/postgres/timeline-history.ts";
import { writeDatabaseKey } from "../src/repository/database-keys.ts";
import { writeLineage } from "../src/repository/lineages.ts";
import { type PhysicalArchive, openPhysicalArchive } from "../src/repository/physical-archive.ts";
import { openRepository } from "../src/repository/repository.ts";
import { storeGap, storeWalPiece } from "../src/repository/wal-archive.ts";
import { openFolderStore } from "../src/storage/folder-store.ts";
import { collectCleanUps } from "../test/harness/clean-ups.ts";
import { type PostgresServer, makeServerFolder, startPostgresServer } from "../test/harness/postgres-server.ts";
import { KEEP_WAL, StoredWal } from "../test/harness/stored-wal.ts";

const DATABASE_ID = "ad-7c9e6679-7425-40de-944b-e07fc1f90ae7";
/** The smallest there is. */
const SEGMENT_SIZE = toWalSegmentSize(1024 * 1024);
const TABLESPACE_ROWS = 1000;
const TIME_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';

const [target] = process.argv.slice(2);
if (target === undefined) throw new Error("Say which folder to make");
await main(resolve(target));

async function main(folder: string): Promise<void> {
  await mkdir(folder);
  const cleanUps = collectCleanUps();
  try {
    const archive = await makeRepository(folder);
    const server = await startPostgresServer(cleanUps, { segmentSizeMb: 1, settings: { ...KEEP_WAL } });
    await writeAbandonedLineage(archive);
    await writeFile(join(folder, "expected.json"), `${JSON.stringify(await fill(archive, server), undefined, 2)}\n`);
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  } finally {
    await cleanUps.run();
  }
}

async function makeRepository(folder: string): Promise<PhysicalArchive> {
  const now = systemClock.now();
  const repository = await openRepository(await openFolderStore(join(folder, "repository")), {
    create: { id: "fixture of format 1", now },
  });
  const master = await openMasterKey({ folder: join(folder, "keys"), mayCreate: true, now });
  const { recipient, wrappedIdentity } = await createDatabaseKey([master.recipient]);
  await writeDatabaseKey(repository, DATABASE_ID, wrappedIdentity);
  const identity = await unwrapDatabaseKey(master, DATABASE_ID, wrappedIdentity);
  return openPhysicalArchive({
    repository,
    databaseId: DATABASE_ID,
    recipients: [recipient],
    identity,
    framesInFlight: 1,
  });
}

/** A base backup with a tablespace, log in pieces and in whole segments, and a second timeline. @returns what a reader must find */
async function fill(archive: PhysicalArchive, server: PostgresServer): Promise<object> {
  await shrink(server);
  const wal = await StoredWal.begin(archive, server, SEGMENT_SIZE);
  const space = join(server.folder, "space");
  await makeServerFolder(space);
  await server.query(`create tablespace extra location '${space}'`);
  await server.query("create table greeting (id int primary key, words text)");
  await server.query("create table elsewhere (id int) tablespace extra");
  await server.query("insert into elsewhere select generate_series(1, $1::int)", [TABLESPACE_ROWS]);
  await server.query("insert into greeting values (1, 'in the base backup')");
  const manifest = await captureBaseBackup(
    archive,
    {
      backupId: newObjectId(systemClock.now()),
      lineage: wal.lineage,
      systemId: wal.systemId,
      label: "fixture",
      checkpoint: "fast",
      target: { client: server.client(), applicationName: "fixture" },
      clock: systemClock,
      waitForWal: async () => void (await wal.store()),
    },
    new AbortController().signal,
  );
  await server.query("insert into greeting values (2, 'in the log of timeline 1')");
  await wal.store();
  const betweenRows = await server.value("select to_char(clock_timestamp() at time zone 'UTC', $1)", [TIME_FORMAT]);
  await server.query("select pg_switch_wal()");
  await wal.store();
  await server.query("insert into greeting values (3, 'later on timeline 1')");
  await wal.store();
  await followPromotion(server, wal);
  await wal.store();
  await server.query("insert into greeting values (4, 'on timeline 2')");
  await wal.store();
  return {
    manifest,
    betweenRows,
    joinedSegment: await storeOverlap(archive, server, wal),
    tablespaceOid: await server.value("select oid::text from pg_tablespace where spcname = 'extra'"),
    greeting: await server.query("select id, words from greeting order by id"),
    elsewhereRows: TABLESPACE_ROWS,
  };
}

/** What no reader needs: template0 is a third of a new cluster, comments and collations much of the rest. */
async function shrink(server: PostgresServer): Promise<void> {
  await server.query("alter database template0 is_template false");
  await server.query("drop database template0");
  for (const database of ["template1", "postgres"]) {
    const run = (text: string) => server.query(text, [], { database });
    await run("drop schema information_schema cascade");
    await run(
      "set allow_system_table_mods = on; delete from pg_description; delete from pg_collation where oid > 12000",
    );
    await run("vacuum full");
    await run("vacuum freeze");
  }
  await server.query("checkpoint");
}

/** The history comes before the first byte of its timeline, and the old one's log up to where it was left. */
async function followPromotion(server: PostgresServer, wal: StoredWal): Promise<void> {
  await server.stop();
  await server.promoteToNewTimeline();
  const history = await readFile(join(server.dataFolder, "pg_wal", historyFileName(toTimelineId(2))), "utf8");
  const switchPoint = parseTimelineHistory(history).at(-1)?.end;
  if (switchPoint === undefined) throw new Error(`No switch in "${history}"`);
  await wal.storeUntil(switchPoint);
  await wal.follow(2, history, switchPoint);
}

/** All of the last segment at once, beside its pieces: as a receiver leaves it that ends before it has removed what it joined. */
async function storeOverlap(archive: PhysicalArchive, server: PostgresServer, wal: StoredWal): Promise<SegmentName> {
  const end = await wal.store();
  const timeline = toTimelineId(2);
  const segment = segmentName(timeline, end, SEGMENT_SIZE);
  const bytes = await readFile(join(server.dataFolder, "pg_wal", segment));
  const to = segmentOffset(end, SEGMENT_SIZE);
  await storeWalPiece(archive, { lineage: wal.lineage, timeline, segment, from: 0, to }, () =>
    once(bytes.subarray(0, to)),
  );
  return segment;
}

/** An older lineage that nothing can be restored from: two bytes of log with a gap between them. */
async function writeAbandonedLineage(archive: PhysicalArchive): Promise<void> {
  const lineage = newObjectId(systemClock.now());
  const createdAt = systemClock.now().toISOString();
  const facts = { format: 1, systemId: "1", segmentSizeBytes: SEGMENT_SIZE, createdAt, reason: "first" } as const;
  await writeLineage(archive, { ...facts, lineage });
  const timeline = toTimelineId(1);
  const first = parseLsn("0/100000");
  const second = advanceLsn(first, SEGMENT_SIZE);
  for (const start of [first, second]) {
    const place = { lineage, timeline, segment: segmentName(timeline, start, SEGMENT_SIZE), from: 0, to: 1 };
    await storeWalPiece(archive, place, () => once(Buffer.from("x")));
  }
  const foundAt = systemClock.now();
  await storeGap(
    archive,
    { lineage, timeline, from: advanceLsn(first, 1), to: second },
    { foundAt, reason: "fixture" },
  );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
