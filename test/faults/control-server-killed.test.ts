import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRecord, waitFor } from "../harness/platform.ts";
import { type BackupScene, controlServerPid, sharedBackupScene } from "./backup-scene.ts";
import { signal, stallDump } from "./dump-process.ts";

describe("a control database killed", () => {
  const scene = sharedBackupScene();

  test("while idle lets the API answer 503 with a reason, then comes back", async (t) => {
    await killAndWatchAnswers(scene());
    await scene().assertNextBackupWorks(t);
  });

  test("in mid-backup loses nothing of the backup", async (t) => {
    const id = await scene().createBackup();
    const dump = await stallDump(scene());
    await killAndWatchAnswers(scene());
    dump.resume();
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    await scene().assertRestoresEqual(t, id);
  });

  test("at once with a database's server leaves no status behind that isn't true", async (t) => {
    const { platform, addonId } = scene();
    const servers = [await platform.serverPid(addonId), await controlServerPid(platform)];
    for (const pid of servers) signal(pid, "SIGKILL");
    await waitFor(async () => {
      const status = await scene()
        .databaseStatus()
        .catch(() => "unknown");
      return status === "running" && !servers.includes(await platform.serverPid(addonId));
    }, "the status running");
    await scene().assertNextBackupWorks(t);
  });
});

/** Kills the control database's server and asks the API without pause until it has failed and works again. */
async function killAndWatchAnswers({ platform, addonId }: BackupScene): Promise<void> {
  const token = await platform.ownerJwt();
  const ask = () => platform.api("GET", `/api/databases/${addonId}/backups`, { token });
  assert.equal((await ask()).status, 200);
  const killed = await controlServerPid(platform);
  signal(killed, "SIGKILL");
  let failures = 0;
  await waitFor(async () => {
    const { status, body } = await ask();
    if (status === 200) return failures > 0 && (await controlServerPid(platform)) !== killed;
    failures++;
    assert.equal(status, 503, JSON.stringify(body));
    assert.ok(isRecord(body) && typeof body["error"] === "string" && body["code"] === "control_unavailable");
    return false;
  }, "answers again");
}
