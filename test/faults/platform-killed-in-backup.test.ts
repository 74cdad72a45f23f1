import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { controlServerPid, sharedBackupScene } from "./backup-scene.ts";
import { signal, stallDump, untilGone } from "./dump-process.ts";

describe("a platform killed in mid-backup and started again", () => {
  const scene = sharedBackupScene();

  test("finds its servers, and the backup that its worker gave back", async (t) => {
    const { platform, addonId } = scene();
    const servers = [await platform.serverPid(addonId), await controlServerPid(platform)];
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    const worker = await platform.workerPid();
    await platform.kill();
    dump.resume();
    await untilGone(worker);
    await untilGone(dump.pid);
    assert.deepEqual(
      await scene()
        .operation(id)
        .then(({ state, attempt }) => ({ state, attempt })),
      {
        state: "scheduled",
        attempt: 0,
      },
    );

    await platform.start();
    assert.deepEqual([await platform.serverPid(addonId), await controlServerPid(platform)], servers);
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    assert.equal((await scene().operation(id)).attempt, 1);
    await scene().assertRestoresEqual(t, id);
  });

  test("together with its worker takes the backup over when the lease has run out", async (t) => {
    const { platform, addonId } = scene();
    const server = await platform.serverPid(addonId);
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    signal(await platform.workerPid(), "SIGKILL");
    await platform.kill();
    dump.resume();

    await platform.start();
    assert.equal(await platform.serverPid(addonId), server);
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    assert.equal((await scene().operation(id)).attempt, 2);
    await scene().assertRestoresEqual(t, id);
  });

  test("together with every process of its own recovers all of them", async (t) => {
    const { platform, addonId } = scene();
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    const processes = [
      await platform.workerPid(),
      dump.pid,
      await platform.serverPid(addonId),
      await controlServerPid(platform),
    ];
    for (const pid of processes) signal(pid, "SIGKILL");
    await platform.kill();

    await platform.start();
    assert.equal(processes.includes(await platform.serverPid(addonId)), false);
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    await scene().assertRestoresEqual(t, id);
    await scene().assertNextBackupWorks(t);
  });
});
