import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { holdLock, sharedBackupScene } from "./backup-scene.ts";

describe("a dump blocked by another session's lock", () => {
  const scene = sharedBackupScene();

  test("fails after its limit, once, and names the query that holds the lock", async (t) => {
    const lock = await holdLock(t, scene());
    const { exitCode, stderr } = await scene().platform.run([...scene().onDatabase, "backups-create"]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^ !     Backup [0-9a-f]{24} failed: The dump waited over 30000 ms for a lock on /);
    for (const part of [String(lock.pid), `"${scene().resourceId}"`, "select pg_backend_pid()", "pg_terminate_backend"])
      assert.ok(stderr.includes(part), `${part} in: ${stderr}`);

    const [failed] = await scene().backups();
    assert.deepEqual([failed?.status, failed?.error?.code], ["error", "lock_timeout"]);
    assert.equal((await scene().operation(failed?.id ?? "")).attempt, 1);
    await lock.release();
    await scene().assertNextBackupWorks(t);
  });
});
