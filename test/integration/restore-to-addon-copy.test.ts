import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { InPlaceScene } from "../harness/in-place.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { waitFor } from "../harness/platform.ts";

const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];

describe("database-pitr-restore --to-new-addon on a real platform", () => {
  const cleanUps = collectCleanUps();
  let scene: InPlaceScene;
  let moment = "";

  before(async () => {
    scene = await InPlaceScene.open(cleanUps);
    await scene.write();
    moment = await scene.write();
    await scene.write();
    await scene.query("drop table ledger; create table ledger (id int primary key); insert into ledger values (100)");
    await scene.stored(await scene.write());
  });
  after(() => cleanUps.run());

  test("makes a database of its own from the moment, while the source goes on untouched", async () => {
    const { platform } = scene;
    const words = [...ON_DATABASE, "database-pitr-restore", moment, "--to-new-addon", "staging"];
    const printed = await platform.runOk(words);
    assert.match(printed, /-----> Addon "staging" is being made from postgresql as of /);
    assert.match(printed, /SCALINGO_POSTGRESQL_STAGING_URL/);
    assert.match(printed, /-----> Addon "staging" is running\n$/);
    assert.equal(await scene.ledger(), "4,100");

    const copy = await addonNamed("staging");
    const rows = await ask(copy.uri, "select string_agg(id::text, ',' order by id) as value from ledger");
    assert.equal(rows, "1,2");
    const names =
      "select current_user || ' ' || current_database() || ' ' || pg_get_userbyid(relowner) as value from pg_class where relname = 'ledger'";
    assert.equal(await ask(copy.uri, names), `${copy.resourceId} ${copy.resourceId} ${copy.resourceId}`);
    await ask(copy.uri, "insert into ledger values (7) returning 'written' as value");

    // Passwords, key and lineage are its own, and its backups begin at once.
    const source = await platform.runOk(["--app", "shop", "env-get", "SCALINGO_POSTGRESQL_URL"]);
    assert.notEqual(new URL(source.trim()).password, new URL(copy.uri).password);
    await waitFor(async () => {
      const { body } = await platform.api("GET", `/api/databases/${copy.id}/pitr/recovery_window`);
      return pick(body, "recovery_window", "latest_recoverable_at") !== null;
    }, "a recovery window of the new database");
    await platform.runOk(["--app", "shop", "--addon", copy.resourceId, "backups-create"]);
    const taken = await platform.run([...ON_DATABASE, "database-pitr-restore", moment, "--to-new-addon", "staging"]);
    assert.equal(taken.exitCode, 1);
    assert.match(taken.stderr, /is the name of another database/);
  });

  test("is begun anew by another worker when its own is killed", async () => {
    const { platform } = scene;
    const words = [...ON_DATABASE, "database-pitr-restore", "latest", "--to-new-addon", "spare", "--detach", "--json"];
    const id = pickText(JSON.parse(await platform.runOk(words)), "copy", "id");
    await waitFor(async () => (await copyOf(id))["status"] !== "scheduled", "a copy that is being made");
    process.kill(await platform.workerPid(), "SIGKILL");
    await waitFor(async () => (await copyOf(id))["status"] === "done", "the copy");
    const copy = await runningAddon("spare");
    assert.equal(await ask(copy.uri, "select string_agg(id::text, ',' order by id) as value from ledger"), "4,100");
    const folder = join(platform.home, "databases", copy.id);
    assert.equal((await readdir(folder)).filter((name) => name.startsWith("data")).length, 1);
  });

  test("leaves no addon when the moment can't be reached", async () => {
    const { platform } = scene;
    const words = [...ON_DATABASE, "database-pitr-restore", "latest", "--to-new-addon", "never"];
    const path = `/v1/apps/shop/addons/${scene.addonId}/copies`;
    const unknown = { copy: { name: "never", target: "name:no such point" } };
    const begun = await platform.api("POST", path, { body: unknown });
    assert.equal(begun.status, 201);
    const id = pickText(begun.body, "copy", "id");
    await waitFor(async () => (await copyOf(id))["status"] === "error", "the end of the copy");
    assert.equal(pick(await copyOf(id), "error", "code"), "target_unreachable");
    await waitFor(async () => {
      const { body } = await platform.api("GET", "/v1/apps/shop/addons");
      return pickList(body, "addons").every((each) => pick(each, "id") !== pick(begun.body, "addon", "id"));
    }, "an app without it");
    await waitFor(async () => {
      const databases = await readdir(join(platform.home, "databases"));
      return !databases.some((name) => name.startsWith(pickText(begun.body, "addon", "id")));
    }, "no folder of it");
    // Its name is free again.
    assert.match(await platform.runOk([...words, "--dry-run"]), /-----> /);
    for (const wrong of [{ name: "No Name" }, { name: "postgresql" }, { target: "time:yesterday" }, { branch: -1 }]) {
      const answer = await platform.api("POST", path, { body: { copy: { name: "fine", target: "latest", ...wrong } } });
      assert.equal(answer.status, 422, JSON.stringify(wrong));
    }
  });

  async function copyOf(id: string): Promise<Record<string, unknown>> {
    const { body } = await scene.platform.api("GET", `/v1/apps/shop/copies/${id}`);
    return Object(pick(body, "copy"));
  }

  async function addonNamed(name: string): Promise<{ id: string; resourceId: string; uri: string }> {
    const variable = `SCALINGO_POSTGRESQL_${name.toUpperCase()}_URL`;
    const uri = (await scene.platform.runOk(["--app", "shop", "env-get", variable])).trim();
    const resourceId = new URL(uri).username;
    const { body } = await scene.platform.api("GET", "/v1/apps/shop/addons");
    const found = pickList(body, "addons").find((each) => pick(each, "resource_id") === resourceId);
    return { id: pickText(found, "id"), resourceId, uri };
  }

  async function runningAddon(name: string): Promise<{ id: string; resourceId: string; uri: string }> {
    await waitFor(async () => {
      const { body } = await scene.platform.api("GET", "/v1/apps/shop/addons");
      return pickList(body, "addons").every((each) => pick(each, "status") === "running");
    }, "addons that run");
    return await addonNamed(name);
  }
});

/** One value, which the query names `value`. */
async function ask(uri: string, text: string): Promise<string> {
  const client = new Client({ connectionString: uri.replace(/\?.*$/, "") });
  await client.connect();
  try {
    const result: unknown = await client.query(text);
    return pickText(result, "rows", 0, "value");
  } finally {
    await client.end();
  }
}
