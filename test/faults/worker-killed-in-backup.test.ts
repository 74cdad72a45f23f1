import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { waitFor } from "../harness/platform.ts";
import { ask, type BackupScene, holdLock, sharedBackupScene, untilDumpIsBlocked } from "./backup-scene.ts";
import { promisedMs } from "./crowded-machine.ts";
import { dumpPid, signal, stallDump, untilGone } from "./dump-process.ts";

/** What is promised. */
const TAKE_OVER_MS = 15_000;

describe("a worker killed in mid-backup", () => {
  const scene = sharedBackupScene();

  test("is replaced, and the backup is taken over within 15 s and restores equal", async (t) => {
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    const killed = await killWorker(scene(), id);
    dump.resume();

    assert.equal((await scene().backup(id)).status, "running");
    assert.deepEqual(await scene().archives(), []);
    await untilGone(dump.pid);
    const tookMs = await untilTakenOver(scene(), id, killed);
    t.diagnostic(`taken over ${Math.round(tookMs)} ms after the kill`);
    assert.ok(tookMs < promisedMs(TAKE_OVER_MS), `taken over after ${tookMs} ms`);

    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    assert.equal((await scene().archives()).length, 1);
    await scene().assertRestoresEqual(t, id);
  });

  test("leaves no pg_dump that goes on waiting for a lock", async (t) => {
    const lock = await holdLock(t, scene());
    const id = await scene().createBackup();
    await untilDumpIsBlocked(scene());
    const orphan = await dumpPid(scene());
    const killed = await killWorker(scene(), id);

    const tookMs = await untilTakenOver(scene(), id, killed);
    assert.ok(tookMs < promisedMs(TAKE_OVER_MS), `taken over after ${tookMs} ms`);
    await untilGone(orphan);
    const sessions = await ask<{ application_name: string }>(
      await scene().superuser(),
      "select application_name from pg_stat_activity where application_name like 'tidemark-dump-%'",
    );
    assert.ok(sessions.length <= 1, JSON.stringify(sessions));
    await lock.release();
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    await scene().assertRestoresEqual(t, id);
  });
});

interface KilledWorker {
  readonly leaseOwner: string | null;
  readonly atMs: number;
}

async function killWorker(scene: BackupScene, backupId: string): Promise<KilledWorker> {
  const { lease_owner: leaseOwner } = await scene.operation(backupId);
  signal(await scene.platform.workerPid(), "SIGKILL");
  return { leaseOwner, atMs: performance.now() };
}

/** Milliseconds from the kill until another worker holds the operation. */
async function untilTakenOver(scene: BackupScene, backupId: string, killed: KilledWorker): Promise<number> {
  await waitFor(async () => {
    const { state, attempt, lease_owner: owner } = await scene.operation(backupId);
    assert.ok(state === "running" || state === "done", state);
    return attempt === 2 && owner !== killed.leaseOwner;
  }, "another worker");
  return performance.now() - killed.atMs;
}
