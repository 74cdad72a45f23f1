import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { waitFor } from "../harness/platform.ts";
import { type Backup, type BackupScene, sharedBackupScene } from "./backup-scene.ts";
import { signal, stallDump, untilGone } from "./dump-process.ts";

describe("a cancelled backup", () => {
  const scene = sharedBackupScene();

  test("that nobody has begun ends at once", async (t) => {
    const worker = await scene().platform.workerPid();
    signal(worker, "SIGSTOP");
    t.after(() => signal(worker, "SIGCONT"));
    const id = await scene().createBackup();
    const backup = await cancel(scene(), id);
    assert.deepEqual([backup.status, backup.error?.code], ["error", "cancelled"]);
    signal(worker, "SIGCONT");
    await scene().assertNextBackupWorks(t);
    assert.equal((await scene().operation(id)).attempt, 0);
  });

  test("that runs ends with its pg_dump, and leaves no archive", async (t) => {
    const before = await scene().archives();
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    await cancel(scene(), id);
    const backup = await scene().ended(id);
    assert.deepEqual([backup.status, backup.error?.code], ["error", "cancelled"]);
    await untilGone(dump.pid);
    assert.deepEqual(await scene().archives(), before);
    await scene().assertNextBackupWorks(t);
  });

  test("that failed just then is not tried again", async () => {
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    await cancel(scene(), id);
    signal(dump.pid, "SIGKILL");
    const backup = await scene().ended(id);
    assert.deepEqual([backup.status, backup.error?.code], ["error", "cancelled"]);
    assert.equal((await scene().operation(id)).attempt, 1);
  });

  test("by the removal of its database ends with it, and the finished ones stay in the repository", async () => {
    const { platform, addonId } = scene();
    const finished = await scene().archives();
    assert.ok(finished.length > 0);
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    const server = await platform.serverPid(addonId);
    const reply = await platform.api("DELETE", `/v1/apps/shop/addons/${addonId}`);
    assert.equal(reply.status, 204);

    await untilGone(dump.pid);
    await untilGone(server);
    await waitFor(async () => {
      const open = await scene().askControl("select from operations where state in ('scheduled', 'running')");
      return open.length === 0;
    }, "the end of all operations");
    assert.deepEqual(
      await scene()
        .operation(id)
        .then((row) => [row.state, row.error_code]),
      ["error", "cancelled"],
    );
    assert.deepEqual(await scene().askControl("select state from addons"), [{ state: "removed" }]);
    await assert.rejects(access(join(platform.home, "databases", addonId)), { code: "ENOENT" });
    assert.deepEqual(await scene().archives(), finished);
  });
});

async function cancel({ platform, addonId }: BackupScene, backupId: string): Promise<Backup> {
  const reply = await platform.api("POST", `/api/databases/${addonId}/backups/${backupId}/cancel`);
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  // The API's own description of its answer.
  return (reply.body as { database_backup: Backup }).database_backup;
}
