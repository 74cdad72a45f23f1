import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { systemClock } from "../core/clock.ts";
import { type ObjectId, newObjectId } from "../core/ids.ts";
import { openMemoryStore } from "../storage/memory-store.ts";
import { commitBaseBackup, writeServerManifest } from "./base-backup-set.ts";
import { type PhysicalArchive, openPhysicalArchive } from "./physical-archive.ts";
import { sweepPhysicalOrphans } from "./physical-orphans.ts";
import { serverManifestKey } from "./physical-layout.ts";
import { openRepository } from "./repository.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

async function openArchive(): Promise<PhysicalArchive> {
  const store = openMemoryStore(systemClock);
  const identity = await generateX25519Identity();
  return openPhysicalArchive({
    repository: await openRepository(store, { create: { id: "test", now: new Date() } }),
    databaseId: "ad-test",
    recipients: [await identityToRecipient(identity)],
    identity,
    framesInFlight: 2,
  });
}

/** An object of a backup; committed or not. */
async function writeBackup(archive: PhysicalArchive, isCommitted: boolean): Promise<ObjectId> {
  const backupId = newObjectId(new Date());
  const serverManifest = await writeServerManifest(archive, backupId, bytes());
  if (!isCommitted) return backupId;
  const now = new Date().toISOString();
  await commitBaseBackup(archive, {
    format: 1,
    backupId,
    lineage: backupId,
    systemId: "1",
    serverVersion: 150_018,
    segmentSizeBytes: 16_777_216,
    label: "test",
    timeline: 1,
    startLsn: "0/2000028",
    stopTimeline: 1,
    stopLsn: "0/2000100",
    startedAt: now,
    finishedAt: now,
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
    serverManifest,
    fileCount: 0,
    dataBytes: 0,
    suspectPages: { count: 0, named: [] },
  });
  return backupId;
}

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("bytes");
}

test("sweepPhysicalOrphans() removes what no manifest names, once it is old enough, and may be called again", async () => {
  const archive = await openArchive();
  const orphan = await writeBackup(archive, false);
  const backup = await writeBackup(archive, true);
  const past = new Date(Date.now() - DAY_MS);
  assert.deepEqual(await sweepPhysicalOrphans(archive, { before: past }), [], "a backup that may still be taken stays");
  const future = new Date(Date.now() + DAY_MS);
  const key = serverManifestKey(archive.prefix, orphan);
  assert.deepEqual(await sweepPhysicalOrphans(archive, { before: future }), [key]);
  assert.deepEqual(await sweepPhysicalOrphans(archive, { before: future }), []);
  assert.ok((await archive.store.head(serverManifestKey(archive.prefix, backup))) !== undefined);
});
