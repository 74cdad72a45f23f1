import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { captureBaseBackup } from "../../src/capture/base-backup.ts";
import { systemClock } from "../../src/core/clock.ts";
import { newObjectId } from "../../src/core/ids.ts";
import { type Lsn, advanceLsn, formatLsn, parseLsn, parseSegmentName, toTimelineId } from "../../src/core/lsn.ts";
import type { TimestampUs } from "../../src/core/timestamp.ts";
import type { TransactionEnd } from "../../src/postgres/wal/record.ts";
import { decodeSegmentIndex, encodeSegmentIndex } from "../../src/postgres/wal/segment-index-json.ts";
import { type BaseBackupManifest, readBaseBackup } from "../../src/repository/base-backup-set.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import { expireWal } from "../../src/repository/physical-expiry.ts";
import { segmentIndexKey } from "../../src/repository/physical-layout.ts";
import { verifyPhysicalObjects } from "../../src/repository/verify-objects.ts";
import {
  deleteSegmentIndex,
  listSegmentIndexes,
  readSegmentIndex,
  storeSegmentIndex,
} from "../../src/repository/wal-index.ts";
import { type Branch, openBranch } from "../../src/restore/branch.ts";
import { readRestoreFacts } from "../../src/restore/facts.ts";
import { collectReplayFacts } from "../../src/restore/replay-facts.ts";
import { listRestorePoints } from "../../src/restore/restore-points.ts";
import type { ReplayTarget } from "../../src/restore/target-request.ts";
import { scanBranch } from "../../src/restore/wal-scan.ts";
import type { Store } from "../../src/storage/store.ts";
import { isFullRun } from "../harness/full.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { type PostgresServer, makeServerFolder, startPostgresServer } from "../harness/postgres-server.ts";
import { eventually, receiveWal, until, untilStored } from "../harness/wal-scene.ts";

const ROUNDS = 40;
/** Each reads all log once, to compare with. */
const TARGETS_OF_EACH_KIND = isFullRun ? 40 : 5;
const BORDER_EVERY = isFullRun ? 1 : 9;
const cleanUps: (() => Promise<void>)[] = [];
/** Keys of log that were read, since it was emptied. */
const readKeys: string[] = [];
let server: PostgresServer;
let archive: PhysicalArchive;
let backup: BaseBackupManifest;
let branch: Branch;
let ends: readonly TransactionEnd[];

/** The same way through the log, for somebody who has no index. */
const withoutIndexes = (): Branch => ({ ...branch, indexes: new Map() });

function noting(store: Store): Store {
  return {
    ...store,
    get(key, call) {
      if (key.includes("/physical/wal/")) readKeys.push(key);
      return store.get(key, call);
    },
  };
}

/** Transactions in every way that one can end, records larger than a segment, and what replay must know of. */
async function makeActivity(): Promise<void> {
  await server.query("create table item (id bigint generated always as identity, body text)");
  await server.query("alter table item alter body set storage external");
  await makeServerFolder(join(server.folder, "space"));
  for (let round = 1; round <= ROUNDS; round++) {
    await server.query("insert into item (body) select repeat('x', n) from generate_series(1, 700) n");
    await server.query("begin; insert into item (body) values ('no'); rollback");
    await server.query(`begin; insert into item (body) values ('later'); prepare transaction 'round ${round}'`);
    if (round % 3 > 0)
      await server.query(`${round % 3 === 1 ? "commit" : "rollback"} prepared 'round ${Math.max(1, round - 1)}'`).catch(
        // That one is gone already.
        () => undefined,
      );
    if (round === 10) await server.query(`create tablespace extra location '${join(server.folder, "space")}'`);
    if (round % 7 === 0) await server.query(`select pg_create_restore_point('round ${round}')`);
    // One record of two and a half segments.
    if (round % 11 === 0) await server.query("select pg_logical_emit_message(true, 'big', repeat('b', 2621440))");
    if (round % 9 === 0) await server.query("select pg_switch_wal()");
  }
}

async function backUp(receiver: Awaited<ReturnType<typeof receiveWal>>["receiver"]): Promise<BaseBackupManifest> {
  const { lineage } = receiver.status;
  assert.ok(lineage !== undefined);
  const backupId = newObjectId(new Date());
  await captureBaseBackup(
    archive,
    {
      backupId,
      lineage,
      systemId: await server.value("select system_identifier::text from pg_control_system()"),
      label: "tidemark test",
      checkpoint: "fast",
      target: { client: server.client(), applicationName: "tidemark_test" },
      clock: systemClock,
      waitForWal: ({ stop }) => until(receiver, ({ durable }) => durable !== undefined && durable.lsn >= stop),
    },
    new AbortController().signal,
  );
  return readBaseBackup(archive, backupId);
}

async function openNewest(): Promise<Branch> {
  const facts = await readRestoreFacts(archive);
  const [lineage] = facts.lineages;
  assert.ok(lineage !== undefined);
  return openBranch(lineage, toTimelineId(1));
}

/** Whole segments in which all records end that begin there. */
function wholeSegments(): number {
  const whole = [...branch.inventory.segments.values()].filter((one) => one.contiguousBytes === branch.segmentSize);
  return whole.length;
}

/** Exactly at an end, around it, and of every kind. */
function targets(): readonly ReplayTarget[] {
  const list: ReplayTarget[] = [{ kind: "latest" }];
  const step = Math.max(1, Math.floor(ends.length / TARGETS_OF_EACH_KIND));
  for (let at = 0; at < ends.length; at += step) {
    const end = ends[at];
    if (end === undefined) continue;
    const isExclusive = at % 2 === 0;
    const earlier = (end.time - 1n) as TimestampUs; // brand
    list.push({ kind: "time", time: end.time, isExclusive }, { kind: "time", time: earlier, isExclusive });
    list.push(
      { kind: "lsn", lsn: end.start, isExclusive },
      { kind: "lsn", lsn: advanceLsn(end.start, 8), isExclusive },
    );
    if (end.xid !== undefined) list.push({ kind: "xid", xid: end.xid, isExclusive });
  }
  // Segments' own borders.
  for (const [index, { start }] of [...branch.inventory.segments.values()].entries())
    if (start > parseLsn(backup.stopLsn) && index % BORDER_EVERY === 0)
      list.push({ kind: "lsn", lsn: start }, { kind: "lsn", lsn: start, isExclusive: true });
  list.push({ kind: "xid", xid: 4_000_000_000 });
  return list;
}

suite("the index of each segment", () => {
  before(async () => {
    const cleanUp = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) };
    server = await startPostgresServer(cleanUp, {
      segmentSizeMb: 1,
      settings: { max_prepared_transactions: "50", wal_keep_size: "1GB" },
    });
    archive = await makePhysicalArchive(cleanUp, noting);
    const { receiver } = await receiveWal(cleanUp, server, archive);
    await until(receiver, ({ durable }) => durable !== undefined);
    backup = await backUp(receiver);
    await makeActivity();
    await server.query("select pg_switch_wal()");
    await server.query("insert into item (body) values ('in the open segment')");
    await untilStored(receiver, server);
    await eventually("every whole segment has an index", async () => {
      branch = await openNewest();
      return branch.indexes.size >= wholeSegments();
    });
    await receiver.close();
    const found: TransactionEnd[] = [];
    await scanBranch(archive, withoutIndexes(), {
      from: parseLsn(backup.stopLsn),
      visit({ fact }) {
        if (fact?.kind === "transaction end" && fact.start >= parseLsn(backup.stopLsn)) found.push(fact);
        return undefined;
      },
    });
    ends = found;
    assert.ok(ends.length > 2 * ROUNDS && branch.indexes.size > 10);
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("collectReplayFacts() says the same by indexes as by records, for targets of every kind", async () => {
    for (const target of targets()) {
      const byIndexes = await collectReplayFacts(archive, { branch, base: backup }, target, undefined);
      const byRecords = await collectReplayFacts(
        archive,
        { branch: withoutIndexes(), base: backup },
        target,
        undefined,
      );
      const what =
        target.kind === "lsn" ? formatLsn(target.lsn) : JSON.stringify(target, (_, value: unknown) => String(value));
      assert.deepEqual(byIndexes, byRecords, what);
    }
  });

  test("collectReplayFacts() reads the segments that the target or the backup's end lie in, and no other", async () => {
    readKeys.length = 0;
    await collectReplayFacts(archive, { branch, base: backup }, { kind: "latest" }, undefined);
    const read = new Set(readKeys.map((key) => key.split("/").at(-1)?.slice(0, 24)));
    // That of the backup with the record that reaches out of it, and the open one.
    assert.ok(read.size <= 3, `${read.size} of ${branch.inventory.segments.size}`);
  });

  test("listRestorePoints() finds each point by the indexes", async () => {
    const facts = await readRestoreFacts(archive);
    const plain = { ...facts, lineages: facts.lineages.map((lineage) => ({ ...lineage, indexes: new Map() })) };
    const points = await listRestorePoints(archive, facts, {});
    assert.equal(points.length, Math.floor(ROUNDS / 7));
    assert.deepEqual(points, await listRestorePoints(archive, plain, {}));
  });

  test("decodeSegmentIndex() gives back what encodeSegmentIndex() took, and passes over a later format", async () => {
    for (const [stored] of branch.indexes.values()) {
      assert.ok(stored !== undefined);
      const bytes = await readSegmentIndex(archive, stored);
      const index = decodeSegmentIndex(bytes, "an index");
      assert.ok(index !== undefined);
      assert.deepEqual(encodeSegmentIndex(index), bytes);
      const later = Buffer.from(JSON.stringify({ ...JSON.parse(bytes.toString()), format: 2, records: "anything" }));
      assert.equal(decodeSegmentIndex(later, "an index"), undefined);
      assert.throws(() => decodeSegmentIndex(bytes.subarray(1), "an index"), { code: "object_corrupt" });
    }
  });

  test("an index that contradicts the log is not believed", async () => {
    const entries = [...branch.indexes].toSorted(([first], [second]) => (first < second ? -1 : 1));
    const [, [stored] = []] = entries[Math.floor(entries.length / 2)] ?? [];
    assert.ok(stored !== undefined);
    const bytes = await readSegmentIndex(archive, stored);
    const index = decodeSegmentIndex(bytes, "an index");
    assert.ok(index?.records !== undefined);
    const { lineage, timeline, segment, segmentMac } = stored;
    const place = { lineage, timeline, segment, segmentMac };
    const forged = { ...index, records: { ...index.records, previous: advanceLsn(index.records.previous, 8) } };
    await deleteSegmentIndex(archive, stored);
    const wrong = await storeSegmentIndex(archive, place, encodeSegmentIndex(forged));
    const target = { kind: "latest" } as const;
    const expected = await collectReplayFacts(archive, { branch: withoutIndexes(), base: backup }, target, undefined);
    branch = await openNewest();
    assert.deepEqual(await collectReplayFacts(archive, { branch, base: backup }, target, undefined), expected);
    await deleteSegmentIndex(archive, wrong);
    // One whose bytes were changed is passed over, and its segment is read.
    await archive.store.put(segmentIndexKey(archive.prefix, stored), Buffer.from("changed"));
    branch = await openNewest();
    assert.deepEqual(await collectReplayFacts(archive, { branch, base: backup }, target, undefined), expected);
    const problems = await Array.fromAsync(verifyPhysicalObjects(archive, { isDeep: true }));
    assert.deepEqual(
      problems.filter(({ problem }) => problem !== undefined).map(({ key }) => key),
      [segmentIndexKey(archive.prefix, stored)],
    );
    await deleteSegmentIndex(archive, stored);
    await storeSegmentIndex(archive, place, bytes);
    branch = await openNewest();
  });

  test("expireWal() removes the indexes of the segments that go, and no other", async () => {
    const position = parseLsn(backup.startLsn);
    await expireWal(archive, { lineage: branch.lineage, before: position });
    const isKept = (start: Lsn): boolean => advanceLsn(start, branch.segmentSize) > position;
    const left = [...(await listSegmentIndexes(archive, branch.lineage)).keys()];
    const expected = [...branch.indexes.keys()].filter((name) =>
      isKept(parseSegmentName(name, branch.segmentSize).start),
    );
    assert.deepEqual(left.toSorted(), expected.toSorted());
    assert.ok(left.length < branch.indexes.size, "the segment before the backup goes");
  });
});
