import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ATTEMPTS_MAX } from "../../src/control/operations.ts";
import { holdLock, sharedBackupScene } from "./backup-scene.ts";
import { dumpPid, signal, stallDump, untilGone } from "./dump-process.ts";

describe("pg_dump killed in mid-backup", () => {
  const scene = sharedBackupScene();

  test("is started again, and the backup restores equal", async (t) => {
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    signal(dump.pid, "SIGKILL");
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    assert.equal((await scene().operation(id)).attempt, 2);
    assert.equal((await scene().archives()).length, 1);
    await scene().assertRestoresEqual(t, id);
  });

  test("each time ends the backup as failed, and the command that waits for it says why", async (t) => {
    const lock = await holdLock(t, scene());
    const command = scene().platform.run([...scene().onDatabase, "backups-create"]);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const pid = await dumpPid(scene());
      signal(pid, "SIGKILL");
      await untilGone(pid);
    }
    const { exitCode, stderr } = await command;
    assert.equal(exitCode, 1);
    assert.match(stderr, /^ !     Backup [0-9a-f]{24} failed: "pg_dump" was ended by SIGKILL/);
    assert.ok(stderr.trim().split("\n").length > 1, `a hint follows: ${stderr}`);

    const [failed] = await scene().backups();
    assert.deepEqual([failed?.status, failed?.error?.code, failed?.size], ["error", "dump_failed", null]);
    assert.equal((await scene().operation(failed?.id ?? "")).attempt, ATTEMPTS_MAX);
    await lock.release();
    await scene().assertNextBackupWorks(t);
  });
});
