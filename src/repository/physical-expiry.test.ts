import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { systemClock } from "../core/clock.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { type Lsn, formatLsn, segmentName, toLsn, toTimelineId, toWalSegmentSize } from "../core/lsn.ts";
import { openMemoryStore } from "../storage/memory-store.ts";
import { type BaseBackupManifest, commitBaseBackup, listBaseBackups } from "./base-backup-set.ts";
import { writeLineage } from "./lineages.ts";
import { type PhysicalArchive, openPhysicalArchive } from "./physical-archive.ts";
import { expireBaseBackup, expireWal, removePhysicalBackups } from "./physical-expiry.ts";
import { openRepository } from "./repository.ts";
import { storeHistory, storeWalPiece } from "./wal-archive.ts";
import { readWalInventory } from "./wal-inventory.ts";

const SEGMENT = toWalSegmentSize(1024 * 1024);
const TIMELINE = toTimelineId(1);
const lineage = newObjectId(new Date("2026-01-01T00:00:00Z"));

const at = (segments: number): Lsn => toLsn(BigInt(segments) * BigInt(SEGMENT));

async function openArchive(): Promise<PhysicalArchive> {
  const identity = await generateX25519Identity();
  const archive = openPhysicalArchive({
    repository: await openRepository(openMemoryStore(systemClock), { create: { id: "test", now: new Date() } }),
    databaseId: "ad-test",
    recipients: [await identityToRecipient(identity)],
    identity,
    framesInFlight: 1,
  });
  const createdAt = "2026-01-01T00:00:00.000Z";
  await writeLineage(archive, {
    format: 1,
    lineage,
    systemId: "7",
    segmentSizeBytes: SEGMENT,
    createdAt,
    reason: "first",
  });
  return archive;
}

async function storeSegments(archive: PhysicalArchive, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    const place = {
      lineage,
      timeline: TIMELINE,
      segment: segmentName(TIMELINE, at(number), SEGMENT),
      from: 0,
      to: SEGMENT,
    };
    await storeWalPiece(archive, place, async function* () {
      yield Buffer.alloc(SEGMENT, number);
    });
  }
}

async function commit(archive: PhysicalArchive, startLsn: Lsn): Promise<ObjectId> {
  const stored = { plainBytes: 0, plainSha256: "", storedBytes: 0, storedSha256: "" };
  const manifest: BaseBackupManifest = {
    format: 1,
    backupId: newObjectId(new Date()),
    lineage,
    systemId: "7",
    serverVersion: 150_018,
    segmentSizeBytes: SEGMENT,
    label: "test",
    timeline: 1,
    startLsn: formatLsn(startLsn),
    stopTimeline: 1,
    stopLsn: formatLsn(startLsn),
    startedAt: "2026-01-01T00:00:00.000Z",
    finishedAt: "2026-01-01T00:01:00.000Z",
    hasChecksums: true,
    minimums: {
      maxConnections: 1,
      maxWorkerProcesses: 1,
      maxWalSenders: 1,
      maxPreparedTransactions: 1,
      maxLocksPerTransaction: 1,
    },
    tablespaces: [],
    volumes: [],
    serverManifest: stored,
    fileCount: 0,
    dataBytes: 0,
    suspectPages: { count: 0, named: [] },
  };
  await commitBaseBackup(archive, manifest);
  return manifest.backupId;
}

async function storedSegments(archive: PhysicalArchive): Promise<number[]> {
  const { segments } = await readWalInventory(archive, { lineage, segmentSize: SEGMENT });
  return [...segments.values()].map(({ start }) => Number(start / BigInt(SEGMENT))).toSorted((a, b) => a - b);
}

async function committed(archive: PhysicalArchive): Promise<ObjectId[]> {
  const ids: ObjectId[] = [];
  for await (const id of listBaseBackups(archive)) ids.push(id);
  return ids;
}

test("expireWal() removes whole segments before the position, and keeps the one that holds it and every history", async () => {
  const archive = await openArchive();
  await storeSegments(archive, [1, 2, 3, 4]);
  const history = await storeHistory(archive, { lineage, timeline: toTimelineId(2) }, "1\t0/200000\tno reason\n", []);
  await commit(archive, toLsn(at(3) + 40n));
  assert.equal(await expireWal(archive, { lineage, before: toLsn(at(3) + 40n) }), 2);
  assert.deepEqual(await storedSegments(archive), [3, 4]);
  const { histories } = await readWalInventory(archive, { lineage, segmentSize: SEGMENT });
  assert.deepEqual(histories, [history]);
  assert.equal(await expireWal(archive, { lineage, before: toLsn(at(3) + 40n) }), 0);
});

test("expireWal() refuses to take what a stored base backup needs, whatever the decision says", async () => {
  const archive = await openArchive();
  await storeSegments(archive, [1, 2, 3]);
  await commit(archive, at(2));
  await assert.rejects(expireWal(archive, { lineage, before: at(3) }), { code: "conflict" });
  await assert.rejects(expireWal(archive, { lineage, before: "all" }), { code: "conflict" });
  assert.deepEqual(await storedSegments(archive), [1, 2, 3]);
});

test("expireBaseBackup() never removes the last one", async () => {
  const archive = await openArchive();
  const first = await commit(archive, at(1));
  await assert.rejects(expireBaseBackup(archive, first), { code: "conflict" });
  const second = await commit(archive, at(2));
  await expireBaseBackup(archive, first);
  await expireBaseBackup(archive, first);
  assert.deepEqual(await committed(archive), [second]);
});

test("removePhysicalBackups() leaves nothing of the database's continuous backups", async () => {
  const archive = await openArchive();
  await storeSegments(archive, [1]);
  await commit(archive, at(1));
  await removePhysicalBackups(archive.store, "ad-test");
  const left = [];
  for await (const { key } of archive.store.list(archive.prefix)) left.push(key);
  assert.deepEqual(left, []);
});
