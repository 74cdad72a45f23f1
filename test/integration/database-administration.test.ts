import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { pick, pickList } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

/** The operator's own: keeps a single manual backup. */
const OWN_PLAN = {
  name: "postgresql-frugal-1024",
  display_name: "Frugal 1G",
  description: "Next to nothing is kept",
  service_class: "starter",
  memory_mb: 1024,
  retention: {
    daily: 1,
    weekly: 0,
    monthly: 0,
    manual: 1,
    recovery_window_days: 2,
    manual_after_deletion_days: 1,
  },
};

/** What the owner of a database does with it beside backups, each by its command, on the real program. */
describe("the administration of a database", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let addonId: string;
  let uri: string;

  before(async () => {
    const plansFile = join(await makeTempFolder(cleanUps), "plans.json");
    await writeFile(plansFile, JSON.stringify({ plans: [OWN_PLAN] }));
    platform = await startPlatform(cleanUps, { environment: { TIDEMARK_PLANS_FILE: plansFile } });
    ({ addonId, uri } = await platform.provision("shop"));
  });
  after(() => cleanUps.run());

  const run = (...args: string[]) => platform.run(["--app", "shop", "--addon", "postgresql", ...args]);
  const runOk = (...args: string[]) => platform.runOk(["--app", "shop", "--addon", "postgresql", ...args]);

  describe("its plan", () => {
    test("a bigger one is taken up by a restart with its memory, and counts from then on", async () => {
      const pid = await platform.serverPid(addonId);
      assert.equal(await ask(uri, "show shared_buffers"), "128MB");
      const said = await runOk("addons-upgrade", "postgresql", "postgresql-business-1024", "--wait");
      assert.match(said, /^-----> Starter 512M becomes Business 1G\n {7}Memory: 1024 MB \(was 512 MB\)\n/);
      assert.match(said, /Recovery window: 7 days \(stays\)/);
      assert.match(said, /The database restarts/);
      assert.match(said, new RegExp(`-----> Addon ${addonId} has been upgraded\n`));
      assert.equal(await ask(uri, "show shared_buffers"), "256MB");
      assert.notEqual(await platform.serverPid(addonId), pid);
      assert.match(await runOk("addons-info"), /\| Plan +\| postgresql-business-1024 +\|/);
    });

    test("a smaller one says which backups go and asks; without a yes nothing changes", async () => {
      for (let made = 0; made < 2; made++) await runOk("backups-create");
      const declined = await platform.run(
        ["--app", "shop", "--addon", "postgresql", "addons-upgrade", "postgresql", OWN_PLAN.name],
        { input: "n\n" },
      );
      assert.equal(declined.exitCode, 1);
      assert.match(declined.stdout, /\| manual \| goes +\|/);
      assert.match(declined.stdout, /Recovery window: 2 days \(was 7\)/);
      assert.match(declined.stderr, /the plan is as before/);
      assert.match(await runOk("addons-info"), /\| Plan +\| postgresql-business-1024 +\|/);
      const pid = await platform.serverPid(addonId);
      const said = await runOk("addons-upgrade", "postgresql", OWN_PLAN.name, "--yes", "--wait");
      assert.match(said, /1 backups that it doesn't keep go within the hour/);
      assert.equal(await platform.serverPid(addonId), pid, "the same memory needs no restart");
      const { body } = await platform.api("GET", `/api/databases/${addonId}/backups`);
      assert.equal(pickList(body, "database_backups").length, 2, "nothing went with the change itself");
    });

    test("the same one, an unknown one and one of nobody's are refused", async () => {
      const same = await run("addons-upgrade", "postgresql", OWN_PLAN.name);
      assert.equal(same.exitCode, 1);
      assert.match(same.stderr, /409 Conflict → .*it is "postgresql-frugal-1024" already/);
      const unknown = await run("addons-upgrade", "postgresql", "no-such-plan");
      assert.match(unknown.stderr, /no plan no-such-plan found for addon postgresql/);
    });

    test("a change survives the platform's death", async () => {
      const begun = await platform.api("PATCH", `/v1/apps/shop/addons/${addonId}`, {
        body: { addon: { plan_id: "postgresql-starter-2048" } },
      });
      assert.equal(begun.status, 200);
      await platform.kill();
      await platform.start();
      await waitFor(async () => {
        const { body } = await platform.api("GET", `/v1/apps/shop/addons/${addonId}`);
        return pick(body, "addon", "plan", "name") === "postgresql-starter-2048";
      }, "the new plan");
      assert.equal(await ask(uri, "show shared_buffers"), "512MB");
    });
  });
});

/** The first value of the first row. */
async function ask(uri: string, sql: string, options: { ssl?: { rejectUnauthorized: false } } = {}): Promise<unknown> {
  const client = new Client({ connectionString: uri.replace(/\?.*/, ""), ...options });
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}
