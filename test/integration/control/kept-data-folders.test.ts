import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { sweepDataFolders } from "../../../src/control/kept-data-folders.ts";
import { insertOperation } from "../../../src/control/operations.ts";
import { insertJournal, noteStep } from "../../../src/control/point-in-time-rows.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { newAddonId, newObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";
import { makeTempFolder } from "../../harness/temp-folder.ts";

const HOUR_MS = 3600_000;
const NOW = new Date();

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;

test("sweepDataFolders() removes a replaced data folder when its time is over, and half-made ones, and no other", async (t) => {
  const databaseFolder = await makeTempFolder(t);
  const names = { live: "data-a1", kept: "data", over: "data-b2", making: "data-c3-1", left: "data-d4-1" };
  for (const name of Object.values(names)) await mkdir(join(databaseFolder, name, "base"), { recursive: true });
  for (const other of ["conf", "data-d5-1.removed"]) await mkdir(join(databaseFolder, other));
  const addonId = await addDatabase(names.live);
  await keep(addonId, names.kept, 1);
  await keep(addonId, names.over, -1);
  const operationId = newObjectId(NOW);
  await insertOperation(db, { id: operationId, kind: "pitr_restore", addonId, requestedBy: null });
  const request = { kind: "restore", target: "latest", isExclusive: false, branch: null } as const;
  await insertJournal(db, { operationId, addonId, request });
  await noteStep(db, operationId, { dataFolder: names.making });

  const sweep = async (): Promise<string[]> => {
    await sweepDataFolders({ database, logger: quietLogger, clock: systemClock }, { addonId, databaseFolder });
    return (await readdir(databaseFolder)).toSorted();
  };
  // What is open may be an undoing that is about to use the folder whose time is over.
  assert.deepEqual(await sweep(), ["conf", names.kept, names.live, names.over, names.making]);
  await db.updateTable("operations").set({ state: "done", ended_at: NOW }).where("id", "=", operationId).execute();
  assert.deepEqual(await sweep(), ["conf", names.kept, names.live]);
  const rows = await db.selectFrom("kept_data_folders").select("name").execute();
  assert.deepEqual(rows, [{ name: names.kept }]);
});

async function keep(addonId: Awaited<ReturnType<typeof addDatabase>>, name: string, hours: number): Promise<void> {
  const until = new Date(NOW.getTime() + hours * HOUR_MS);
  const row = { addon_id: addonId, name, lineage: null, timeline: null, left_at: NOW, kept_until: until };
  await db.insertInto("kept_data_folders").values(row).execute();
}

async function addDatabase(dataFolder: string) {
  const [userId, appId, id] = [newObjectId(NOW), newObjectId(NOW), newAddonId()];
  await db
    .insertInto("users")
    .values({ id: userId, username: "ada", email: "a@x", fullname: "", password_hash: "", is_platform_owner: false })
    .execute();
  await db.insertInto("apps").values({ id: appId, name: "shop", owner_id: userId, removed_at: null }).execute();
  const times = { created_at: NOW, provisioned_at: NOW, removed_at: null };
  const addon = {
    name: "postgresql",
    resource_id: "shop_1",
    plan_name: "postgresql-starter-512",
    state: "running",
  } as const;
  await db
    .insertInto("addons")
    .values({ id, app_id: appId, ...addon, ...times })
    .execute();
  const none = Buffer.from("none");
  const keys = {
    wrapped_owner_password: none,
    wrapped_backup_password: none,
    wrapped_replication_password: none,
    recipient: "none",
    wrapped_identity: none,
  };
  const running = { status: "running", status_reason: null, port: null, version: null } as const;
  await db
    .insertInto("databases")
    .values({ addon_id: id, host_id: "h", major: 15, data_folder: dataFolder, ...running, ...keys })
    .execute();
  return id;
}
