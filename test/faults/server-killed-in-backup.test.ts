import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { waitFor } from "../harness/platform.ts";
import { sharedBackupScene } from "./backup-scene.ts";
import { signal, stallDump } from "./dump-process.ts";

describe("a database server killed in mid-backup", () => {
  const scene = sharedBackupScene();

  test("is started again, its status is told truly meanwhile, and the backup restores equal", async (t) => {
    const { platform, addonId } = scene();
    assert.equal(await scene().databaseStatus(), "running");
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    const killed = await platform.serverPid(addonId);
    signal(killed, "SIGKILL");
    dump.resume();

    await waitFor(async () => (await scene().databaseStatus()) === "stopped", "the status stopped");
    await waitFor(async () => (await scene().databaseStatus()) === "running", "the status running");
    assert.notEqual(await platform.serverPid(addonId), killed);
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    assert.ok((await scene().operation(id)).attempt > 1);
    await scene().assertRestoresEqual(t, id);
  });

  test("again and again comes back each time, later each time", async (t) => {
    const { platform, addonId } = scene();
    for (let time = 1; time <= 2; time++) {
      const killed = await platform.serverPid(addonId);
      signal(killed, "SIGKILL");
      await waitFor(async () => (await scene().databaseStatus()) === "stopped", "the status stopped");
      await waitFor(async () => (await scene().databaseStatus()) === "running", "the status running");
      assert.notEqual(await platform.serverPid(addonId), killed);
    }
    await scene().assertNextBackupWorks(t);
  });
});
