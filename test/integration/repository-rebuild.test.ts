import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { isRecord, startPlatform, waitFor } from "../harness/platform.ts";

const platform = await startPlatform({ after });
const database = await platform.provision("shop");
const target = ["--app", "shop", "--addon", "postgresql"];

async function windowOf(addonId: string): Promise<Record<string, unknown>> {
  const { body } = await platform.api("GET", `/api/databases/${addonId}/pitr/recovery_window`);
  return isRecord(body) && isRecord(body["recovery_window"]) ? body["recovery_window"] : {};
}

test("repository rebuild brings back databases and backups when the control database is lost", async () => {
  await platform.runOk([...target, "backups-create"]);
  await waitFor(async () => (await windowOf(database.addonId))["latest_recoverable_at"] !== null, "a recovery window");
  const before = await platform.runOk([...target, "backups", "--json"]);
  const branches = (await windowOf(database.addonId))["branches"];
  assert.equal(await platform.stop(), 0);
  await rm(join(platform.home, "control"), { recursive: true });
  await platform.start();

  assert.match(await platform.runOk(["apps"]), /haven't created any app|no app/i);
  const rebuilt: unknown = JSON.parse(await platform.runOk(["repository", "rebuild", "--json"]));
  assert.deepEqual(rebuilt, {
    databases: 1,
    recovered: [database.resourceId],
    logical_backups: 1,
    base_backups: 1,
    unreadable: [],
  });
  await waitFor(
    async () => /running/.test(await platform.runOk(["--app", "shop", "addons"])),
    "a database that runs again",
  );
  assert.deepEqual(idsOf(await platform.runOk([...target, "backups", "--json"])), idsOf(before));
  await waitFor(
    async () => (await windowOf(database.addonId))["latest_recoverable_at"] !== null,
    "the window that was",
  );
  const window = await windowOf(database.addonId);
  assert.equal(window["base_backups"], 1);
  assert.equal(lineageOf(window["branches"]), lineageOf(branches));

  const again: unknown = JSON.parse(await platform.runOk(["repository", "rebuild", "--json"]));
  assert.deepEqual(isRecord(again) ? again["recovered"] : undefined, []);
});

function idsOf(json: string): string[] {
  const reply: unknown = JSON.parse(json);
  const backups = isRecord(reply) && Array.isArray(reply["database_backups"]) ? reply["database_backups"] : [];
  return backups.map((backup: unknown) =>
    isRecord(backup) ? `${String(backup["id"])} ${String(backup["status"])}` : "",
  );
}

function lineageOf(branches: unknown): unknown {
  const first: unknown = Array.isArray(branches) ? branches[0] : undefined;
  return isRecord(first) ? first["id"] : undefined;
}
