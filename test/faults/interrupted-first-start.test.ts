import assert from "node:assert/strict";
import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { isRecord, type Platform, preparePlatform, waitFor } from "../harness/platform.ts";
import { isFullRun } from "../harness/full.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { ask, controlSuperuser } from "./backup-scene.ts";
import { addonDataFolder, controlDataFolder, postmastersOf } from "./server-processes.ts";

type Point = readonly [name: string, isReached: (platform: Platform) => Promise<boolean>];

/** In the order in which one first start meets them. */
const POINTS: readonly Point[] = [
  ["initdb of the control database", async ({ home }) => hasPart(join(home, "control"))],
  ["the control database's folder", ({ home }) => exists(join(controlDataFolder(home), "PG_VERSION"))],
  ["the owner's password", ({ home }) => exists(join(home, "first-login"))],
  ["initdb of the sample", async ({ home }) => hasPart(await sampleFolder(home))],
  ["the loading of the sample", (platform) => hasSaid(platform, "Loading the sample")],
  ["the backup of the sample", (platform) => hasSaid(platform, "Backing up")],
];

/** The points at which a start is killed, one after the other in one home; a full run also kills at each alone. */
const SERIES: readonly (readonly Point[])[] = [POINTS, ...(isFullRun ? POINTS.map((point) => [point]) : [])];

for (const points of SERIES)
  test(`a first start killed at ${points.map(([name]) => name).join(", ")} is finished by the next`, async (t) => {
    const platform = await preparePlatform(t, { sample: true });
    for (const [name, isReached] of points) {
      platform.launch();
      await waitFor(() => isReached(platform), name);
      await platform.kill();
    }
    await platform.start();
    await assertWhole(platform, await makeTempFolder(t));
  });

async function assertWhole(platform: Platform, userHome: string): Promise<void> {
  const control = await controlSuperuser(platform);
  assert.deepEqual(await ask(control, "select username from users"), [{ username: "owner" }]);
  assert.deepEqual(await ask(control, "select name from apps"), [{ name: "my-app" }]);
  const addons = await ask<{ id: string; state: string }>(control, "select id, state from addons");
  assert.deepEqual(
    addons.map(({ state }) => state),
    ["running"],
  );
  const addonId = addons[0]?.id ?? "";
  const [rows] = await ask<{ count: string }>(
    { ...(await platform.superuser(addonId, await databaseName(platform))) },
    "select (select count(*) from customers) + (select count(*) from orders) + (select count(*) from order_lines) as count",
  );
  assert.equal(Number(rows?.count), 10_000);

  const { body } = await platform.api("GET", `/api/databases/${addonId}/backups`);
  const backups = isRecord(body) && Array.isArray(body["database_backups"]) ? body["database_backups"] : [];
  assert.deepEqual(
    backups.map((backup: unknown) => isRecord(backup) && backup["status"]),
    ["done"],
  );
  assert.equal((await postmastersOf(controlDataFolder(platform.home))).length, 1);
  assert.equal((await postmastersOf(addonDataFolder(platform.home, addonId))).length, 1);

  const password = /^password: (.*)$/m.exec(await readFile(join(platform.home, "first-login"), "utf8"))?.[1] ?? "";
  const login = await platform.run(["login", "--url", platform.url, "--username", "owner", "--password-stdin"], {
    input: `${password}\n`,
    environment: { HOME: userHome, TIDEMARK_HOME: join(userHome, "none") },
  });
  assert.equal(login.exitCode, 0, login.stderr);
}

async function databaseName(platform: Platform): Promise<string> {
  const uri = await platform.runOk(["--app", "my-app", "env-get", "SCALINGO_POSTGRESQL_URL"]);
  return new URL(uri.trim()).pathname.slice(1);
}

async function sampleFolder(home: string): Promise<string> {
  const [addonId = "none"] = await readdir(join(home, "databases")).catch(() => []);
  return join(home, "databases", addonId);
}

async function hasPart(folder: string): Promise<boolean> {
  return (await readdir(folder).catch(() => [])).some((name) => name.startsWith("data.part-"));
}

async function hasSaid(platform: Platform, line: string): Promise<boolean> {
  return (await platform.output()).includes(line);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
