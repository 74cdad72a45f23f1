import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Backup, holdLock, sharedBackupScene, untilDumpIsBlocked } from "../faults/backup-scene.ts";
import { pick, pickList } from "../harness/pick.ts";
import { waitFor } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

/** The hour before this one: whatever its minute is, it has passed today or, just after midnight, yesterday. */
const PASSED_HOUR_UTC = (new Date().getUTCHours() + 23) % 24;

describe("periodic backups of a running platform", () => {
  const scene = sharedBackupScene();

  /** Newest first. */
  async function periodic(): Promise<Backup[]> {
    return (await scene().backups()).filter(({ method }) => method === "periodic");
  }

  /** The platform then finds that the last three nights had no backup, as after an outage. */
  async function forgetNights(): Promise<void> {
    await scene().askControl("update databases set periodic_last_night = periodic_last_night - 3 where addon_id = $1", [
      scene().addonId,
    ]);
  }

  async function schedule(): Promise<unknown> {
    const { status, body } = await scene().platform.api("GET", `/api/databases/${scene().addonId}/periodic_backups`);
    assert.equal(status, 200);
    return pick(body, "periodic_backups");
  }

  async function untilSettled(): Promise<void> {
    await waitFor(async () => {
      const [next = ""] = pickList(await schedule(), "next_runs");
      return new Date(String(next)) > new Date();
    }, "a night that is settled");
  }

  test("backups-config sets the hour, shows it, and starts nothing", async () => {
    const { platform, onDatabase, addonId } = scene();
    const shown = await platform.runOk([...onDatabase, "backups-config", "--schedule-at", `${PASSED_HOUR_UTC} UTC`]);
    assert.match(shown, new RegExp(`^-----> Periodic backups will be done daily at ${PASSED_HOUR_UTC}:00 UTC\\n`));
    assert.equal(shown.match(/^ {7}Next: .* UTC$/gm)?.length, 3);
    const { body } = await platform.api("GET", `/api/databases/${addonId}`);
    assert.deepEqual(pick(body, "database", "periodic_backups_scheduled_at"), [PASSED_HOUR_UTC]);
    assert.equal(pick(body, "database", "periodic_backups_enabled"), true);
    await untilSettled();
    assert.deepEqual(await periodic(), []);
  });

  test("missed nights lead to exactly one backup, which restores", async (t) => {
    await forgetNights();
    await waitFor(async () => (await periodic()).length > 0, "a periodic backup");
    const [backup] = await periodic();
    assert.ok(backup !== undefined);
    const ended = await scene().ended(backup.id);
    assert.equal(ended.status, "done", JSON.stringify(ended.error));
    assert.match(ended.kept_because ?? "", /^Daily/);
    await scene().assertRestoresEqual(t, backup.id);
    await untilSettled();
    assert.equal((await periodic()).length, 1);
  });

  test("a night that has its backup gets no second one, though the schedule forgot it and the platform was restarted", async () => {
    await scene().platform.stop();
    await scene().platform.start();
    await forgetNights();
    await untilSettled();
    assert.equal((await periodic()).length, 1);
  });

  test("a due run waits for a manual backup, says so, and follows it", async (t) => {
    const lock = await holdLock(t, scene());
    const manual = await scene().createBackup();
    await untilDumpIsBlocked(scene());
    // What was tonight's becomes one of 40 days ago, whose time is over.
    const [old] = await periodic();
    await scene().askControl(
      "update backups set night = night - 40, created_at = created_at - interval '40 days' where id = $1",
      [old?.id],
    );
    await forgetNights();
    assert.match(String(pick(await schedule(), "waits_because")), new RegExp(`Another backup is running: ${manual}`));
    const shown = await scene().platform.runOk([...scene().onDatabase, "backups-config"]);
    assert.match(shown, /The first of them is due: Another backup is running/);
    await lock.release();
    assert.equal((await scene().ended(manual)).status, "done");
    await waitFor(async () => (await periodic()).some(({ id }) => id !== old?.id), "the periodic backup");
    const next = (await periodic()).find(({ id }) => id !== old?.id);
    assert.ok(next !== undefined);
    assert.equal((await scene().ended(next.id)).status, "done");
  });

  test("the backup whose time was over went with its bytes as the new one was done, and the others stayed", async () => {
    await waitFor(async () => (await scene().backups()).length === 2, "two backups");
    const ids = (await scene().backups()).map(({ id }) => id);
    await waitFor(async () => (await scene().archives()).length === 2, "two archives");
    assert.deepEqual((await scene().archives()).map((name) => name.slice(0, 24)).toSorted(), ids.toSorted());
    const rows = await scene().askControl("select from operations where kind = 'logical_backup'");
    assert.equal(rows.length, 2);
    const shown = await scene().platform.runOk([...scene().onDatabase, "backups", "--why"]);
    assert.match(shown, /\| periodic \| .* \| Daily, Weekly/);
    assert.match(shown, /\| manual {3}\| +\| One of the newest 10 manual backups/);
  });

  test("retention preview tells what another plan would keep, and changes nothing", async () => {
    const { platform, onDatabase } = scene();
    const shown = await platform.runOk([...onDatabase, "retention", "preview", "--plan", "postgresql-business-512"]);
    assert.match(shown, /One of the newest 50 manual backups/);
    assert.match(shown, /-----> 0 of 2 backups would go\n$/);
    const refused = await platform.run([...onDatabase, "retention", "preview", "--plan", "tiny"]);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /is not one of postgresql-starter-512/);
  });

  test("backups-config --unschedule asks, and ends the schedule", async () => {
    const { platform, onDatabase } = scene();
    const refused = await platform.run([...onDatabase, "backups-config", "--unschedule"], { input: "n\n" });
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /periodic backups are still enabled/);
    const ended = await platform.runOk([...onDatabase, "backups-config", "--unschedule", "--yes"]);
    assert.equal(ended, "-----> Periodic backups are disabled\n");
    assert.deepEqual(await schedule(), {
      enabled: false,
      scheduled_at: [PASSED_HOUR_UTC],
      next_runs: [],
      waits_because: null,
    });
  });

  test("backups --resource shows its former owner what a removed database left, and the archive can be had", async (t) => {
    const { platform, addonId, resourceId } = scene();
    const [newest] = await scene().backups();
    await platform.runOk(["--app", "shop", "addons-remove", addonId, "--force"]);
    await waitFor(async () => {
      const rows = await scene().askControl("select from addons where id = $1 and state = 'removed'", [addonId]);
      return rows.length === 1;
    }, "the removal");
    const shown = await platform.runOk(["backups", "--resource", resourceId, "--why"]);
    assert.ok(shown.includes(newest?.id ?? "none"), shown);
    assert.match(shown, /Manual, 31 days from its creation/);
    const folder = await makeTempFolder(t);
    const fetched = await platform.runOk(["backups-download", "--resource", resourceId], { folder });
    assert.equal(fetched, `-----> Selected the most recent successful backup\n===> ${newest?.name ?? ""}.tar.gz\n`);
    assert.equal((await stat(join(folder, `${newest?.name ?? ""}.tar.gz`))).size, newest?.size);
    const stranger = await platform.run(["backups", "--resource", "someone_1"]);
    assert.equal(stranger.exitCode, 1);
  });
});
