import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sharedBackupScene } from "./backup-scene.ts";
import { promisedMs } from "./crowded-machine.ts";
import { stallDump, untilGone } from "./dump-process.ts";

/** What is promised. */
const STOP_MS = 15_000;

describe("a platform stopped in mid-backup", () => {
  const scene = sharedBackupScene();

  test("ends within 15 s, and its next start goes on with the backup as if nothing had been", async (t) => {
    const { platform } = scene();
    const id = await scene().createBackup();
    // Left as it is: not even a pg_dump that no longer listens to SIGTERM holds up the stop.
    const dump = await stallDump(scene());
    const worker = await platform.workerPid();
    const askedAtMs = performance.now();
    assert.equal(await platform.stop(), 0, await platform.output());
    const tookMs = performance.now() - askedAtMs;
    t.diagnostic(`stopped in ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < promisedMs(STOP_MS), `stopped in ${tookMs} ms`);
    await untilGone(worker);
    await untilGone(dump.pid);

    await platform.start();
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    assert.equal((await scene().operation(id)).attempt, 1);
    await scene().assertRestoresEqual(t, id);
  });
});
