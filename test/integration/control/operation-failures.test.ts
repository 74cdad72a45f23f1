import assert from "node:assert/strict";
import { after, test } from "node:test";
import { recordOperationFailure } from "../../../src/control/operation-failures.ts";
import { OperationRunner } from "../../../src/control/operation-runner.ts";
import { insertOperation, requestCancel } from "../../../src/control/operations.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { TidemarkError } from "../../../src/core/errors.ts";
import { type AddonId, newAddonId, newObjectId, type ObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";

const NOW = new Date("2026-03-01T10:00:00Z");

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const userId = newObjectId(NOW);
const addonId = await addAddon();
const refuse = (): never => {
  throw new TidemarkError("lock_timeout", "A lock was not granted");
};
const runner = new OperationRunner({
  database,
  clock: systemClock,
  logger: quietLogger,
  owner: "test",
  handlers: { logical_backup: refuse, base_backup: refuse },
  onFailed: recordOperationFailure,
});
after(() => runner.close());

test("a backup that fails for good is one event, with who asked for it and why it failed, and is counted", async () => {
  const { operationId, backupId } = await addBackup();
  await runner.run(operationId);
  const [event, ...others] = await db.selectFrom("events").selectAll().execute();
  assert.deepEqual(others, []);
  assert.deepEqual([event?.type, event?.actor_username], ["database_backup_failed", "ada"]);
  const { data } = event ?? {};
  assert.ok(typeof data === "object" && data !== null && "error" in data && "backup_id" in data);
  assert.deepEqual([data.backup_id, data.error], [backupId, "A lock was not granted"]);
  const totals = await db.selectFrom("operation_totals").select(["kind", "outcome", "operations"]).execute();
  assert.deepEqual(totals, [{ kind: "logical_backup", outcome: "lock_timeout", operations: 1 }]);
});

test("a base backup that fails for good is an event of the platform's", async () => {
  const id = newObjectId(NOW);
  await insertOperation(db, { id, kind: "base_backup", addonId, requestedBy: null });
  await runner.run(id);
  const rows = await db.selectFrom("events").selectAll().where("type", "=", "database_base_backup_failed").execute();
  assert.deepEqual(
    rows.map(({ actor_id: actor, data }) => [actor, Object(data).error]),
    [[null, "A lock was not granted"]],
  );
});

test("one that somebody cancelled is no failure", async () => {
  const { operationId } = await addBackup();
  await requestCancel(db, operationId, new TidemarkError("cancelled", "Cancelled by ada"));
  await runner.run(operationId);
  const failed = await db.selectFrom("events").select("id").where("type", "=", "database_backup_failed").execute();
  assert.equal(failed.length, 1);
});

async function addAddon(): Promise<AddonId> {
  const [appId, id] = [newObjectId(NOW), newAddonId()];
  await db
    .insertInto("users")
    .values({ id: userId, username: "ada", email: "a@x", fullname: "", password_hash: "", is_platform_owner: false })
    .execute();
  await db.insertInto("apps").values({ id: appId, name: "shop", owner_id: userId, removed_at: null }).execute();
  const plan = { plan_name: "postgresql-starter-512", state: "running" } as const;
  const times = { provisioned_at: NOW, removed_at: null };
  await db
    .insertInto("addons")
    .values({ id, app_id: appId, name: "postgresql", resource_id: "shop_1", ...plan, ...times })
    .execute();
  return id;
}

async function addBackup(): Promise<{ operationId: ObjectId; backupId: ObjectId }> {
  const operationId = newObjectId(NOW);
  const backupId = newObjectId(NOW);
  await insertOperation(db, { id: operationId, kind: "logical_backup", addonId, requestedBy: userId });
  const facts = { addon_id: addonId, operation_id: operationId, method: "manual" } as const;
  await db
    .insertInto("backups")
    .values({ id: backupId, ...facts })
    .execute();
  return { operationId, backupId };
}
