import assert from "node:assert/strict";
import { access, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { isRecord, type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { ask } from "./backup-scene.ts";
import { addonDataFolder, postmastersOf } from "./server-processes.ts";

/** Each begins after the one before it; the platform is killed as soon as it is seen. */
const POINTS: Readonly<Record<string, (dataFolder: string) => Promise<boolean>>> = {
  "initdb at work": async (dataFolder) =>
    (await readdir(dirname(dataFolder)).catch(() => [])).some((name) => name.startsWith("data.part-")),
  "data folder made": (dataFolder) => exists(join(dataFolder, "PG_VERSION")),
  "server started": (dataFolder) => exists(join(dataFolder, "postmaster.pid")),
};

test("a platform killed while it makes a database makes it after its next start, with one server", async (t) => {
  const platform = await startPlatform(t);
  for (const [index, [point, isReached]] of Object.entries(POINTS).entries()) {
    const app = `app-${index}`;
    const addonId = await beginAddon(platform, app);
    const dataFolder = addonDataFolder(platform.home, addonId);
    await waitFor(() => isReached(dataFolder), point);
    await platform.kill();

    await platform.start();
    await waitFor(async () => (await addonStatus(platform, app, addonId)) === "running", `${app} after: ${point}`);
    assert.equal((await postmastersOf(dataFolder)).length, 1, point);
    const names = (await readdir(dirname(dataFolder))).filter((name) => name.startsWith("data"));
    assert.deepEqual(names, ["data"], point);
    await assertUsable(platform, app);
  }
});

async function beginAddon(platform: Platform, app: string): Promise<string> {
  await platform.runOk(["create", app]);
  const addon = { addon_provider_id: "postgresql", plan_id: "postgresql-starter-512" };
  const { status, body } = await platform.api("POST", `/v1/apps/${app}/addons`, { body: { addon } });
  assert.equal(status, 201, JSON.stringify(body));
  return isRecord(body) && isRecord(body["addon"]) ? String(body["addon"]["id"]) : "";
}

async function addonStatus(platform: Platform, app: string, addonId: string): Promise<string> {
  const { body } = await platform.api("GET", `/v1/apps/${app}/addons/${addonId}`);
  return isRecord(body) && isRecord(body["addon"]) ? String(body["addon"]["status"]) : JSON.stringify(body);
}

/** Its owner logs in and writes, and it can be backed up. */
async function assertUsable(platform: Platform, app: string): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(
    await platform.runOk(["--app", app, "env-get", "SCALINGO_POSTGRESQL_URL"]),
  );
  const owner = { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1).trim() };
  await ask(owner, "create table made (id int); insert into made values (1)");
  const onDatabase = ["--app", app, "--addon", "postgresql"];
  assert.equal(await platform.runOk([...onDatabase, "backups-create"]), "-----> Backup successfully finished\n");
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
