import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { expireLogicalBackups, readVerdicts } from "../../../src/control/backup-retention.ts";
import { readBackups } from "../../../src/control/backup-rows.ts";
import { schedulePeriodicBackups } from "../../../src/control/backup-schedule.ts";
import type { ControlContext } from "../../../src/control/context.ts";
import { RESTORING_KINDS } from "../../../src/control/exclusive-work.ts";
import { insertOperation } from "../../../src/control/operations.ts";
import { openQueue, queueName } from "../../../src/control/queue.ts";
import type { AddonTable, DatabaseTable, OperationState } from "../../../src/control/schema.ts";
import { TidemarkError } from "../../../src/core/errors.ts";
import { type AddonId, newAddonId, newObjectId, type ObjectId } from "../../../src/core/ids.ts";
import { planCatalogue } from "../../../src/policy/plans.ts";
import { addDays, startOfDay, type UtcDay, utcDayOf } from "../../../src/policy/utc-day.ts";
import { logicalArchiveKey, logicalManifestKey } from "../../../src/repository/layout.ts";
import { openRepository } from "../../../src/repository/repository.ts";
import { openMemoryStore } from "../../../src/storage/memory-store.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { type Faults, withFaults } from "../../harness/fault-store.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const HOST_ID = "0a1b2c3d";
const SCHEDULERS = 4;
const DATABASES = 60;
/** A Wednesday, past the default hour. */
const NOW = new Date("2026-11-18T05:00:00Z");
const TODAY = utcDayOf(NOW);

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const queue = await openQueue(database, { queues: [queueName("logical_backup", HOST_ID)], logger: quietLogger });
after(() => queue.close());
const refuse = () => Promise.reject(new Error("no secret is opened here"));
const context: ControlContext = {
  database,
  queue,
  clock: new SteppedClock(NOW),
  logger: quietLogger,
  secrets: { wrap: refuse, unwrap: refuse, createDatabaseKey: refuse, unwrapDatabaseKey: refuse },
  hostId: HOST_ID,
  newDatabaseMajor: 15,
  plans: planCatalogue(),
  hostNameOf: () => "127.0.0.1",
};
const { db } = database;
const ownerId = newObjectId(NOW);
const appId = newObjectId(NOW);
await db
  .insertInto("users")
  .values({ id: ownerId, username: "owner", email: "o@x", fullname: "", password_hash: "", is_platform_owner: true })
  .execute();
await db.insertInto("apps").values({ id: appId, name: "shop", owner_id: ownerId, removed_at: null }).execute();

let made = 0;

async function addDatabase(
  changes: {
    state?: AddonTable["state"];
    status?: DatabaseTable["status"];
    enabled?: boolean;
    hourUtc?: number;
    lastNight?: UtcDay;
    removedAt?: Date;
  } = {},
): Promise<AddonId> {
  const id = newAddonId();
  const name = `postgresql-${++made}`;
  await db
    .insertInto("addons")
    .values({
      id,
      app_id: appId,
      name,
      resource_id: `shop_${made}`,
      plan_name: "postgresql-starter-512",
      state: changes.state ?? "running",
      provisioned_at: NOW,
      removed_at: changes.removedAt ?? null,
    })
    .execute();
  const secret = Buffer.from("none");
  await db
    .insertInto("databases")
    .values({
      addon_id: id,
      host_id: HOST_ID,
      major: 15,
      port: null,
      version: null,
      status: changes.status ?? "running",
      status_reason: null,
      wrapped_owner_password: secret,
      wrapped_backup_password: secret,
      wrapped_replication_password: secret,
      recipient: "none",
      wrapped_identity: secret,
      periodic_backups_enabled: changes.enabled ?? true,
      periodic_hour_utc: changes.hourUtc ?? 0,
      periodic_last_night: changes.lastNight ?? addDays(TODAY, -1),
    })
    .execute();
  return id;
}

async function addBackup(
  addonId: AddonId,
  { createdAt, night, state = "done" }: { createdAt: Date; night: UtcDay | null; state?: OperationState },
): Promise<ObjectId> {
  const id = newObjectId(createdAt);
  const operationId = newObjectId(createdAt);
  const ended = state === "done" || state === "error";
  await db
    .insertInto("operations")
    .values({
      id: operationId,
      kind: "logical_backup",
      addon_id: addonId,
      state,
      ended_at: ended ? createdAt : null,
      error_code: state === "error" ? "dump_failed" : null,
    })
    .execute();
  await db
    .insertInto("backups")
    .values({
      id,
      addon_id: addonId,
      operation_id: operationId,
      method: night === null ? "manual" : "periodic",
      night,
      created_at: createdAt,
      name: null,
      size_bytes: null,
      sha256: null,
    })
    .execute();
  return id;
}

/** So many nights with a good backup each, the last one's today. */
async function addNights(addonId: AddonId, count: number): Promise<ObjectId[]> {
  const ids: ObjectId[] = [];
  for (let back = count - 1; back >= 0; back--) {
    const night = addDays(TODAY, -back);
    ids.push(await addBackup(addonId, { createdAt: startOfDay(night), night }));
  }
  return ids;
}

async function periodicOf(addonIds: readonly AddonId[]): Promise<{ addon_id: AddonId; night: UtcDay | null }[]> {
  return await db
    .selectFrom("backups")
    .select(["addon_id", "night"])
    .where("addon_id", "in", [...addonIds])
    .where("method", "=", "periodic")
    .execute();
}

const listed = async (addonId: AddonId): Promise<string[]> =>
  (await readBackups(db, { addonId, limit: 1000 })).map(({ id }) => id);

// Clients that are asked for no certain backup take the first good one of the list.
test("readBackups() lists the newest first, in whatever order they came to be rows", async () => {
  const addonId = await addDatabase();
  const added: ObjectId[] = [];
  for (const hour of ["03", "09", "01", "07", "05"])
    added.push(await addBackup(addonId, { createdAt: new Date(`2026-11-17T${hour}:00:00Z`), night: null }));
  const [fourth, first, fifth, second, third] = added;
  assert.deepEqual(await listed(addonId), [first, second, third, fourth, fifth]);
});

describe("schedulePeriodicBackups()", () => {
  test("begins one backup for each database that is due, however many schedulers look at once", async () => {
    const addons: AddonId[] = [];
    for (let index = 0; index < DATABASES; index++) addons.push(await addDatabase({ lastNight: addDays(TODAY, -3) }));
    await Promise.all(Array.from({ length: SCHEDULERS }, () => schedulePeriodicBackups(context)));
    await schedulePeriodicBackups(context);
    const rows = await periodicOf(addons);
    assert.deepEqual(rows.map((row) => row.addon_id).toSorted(), addons.toSorted());
    assert.ok(rows.every(({ night }) => night === TODAY));
    await db.updateTable("operations").set({ state: "done", ended_at: NOW }).where("state", "=", "scheduled").execute();
    await schedulePeriodicBackups(context);
    assert.equal((await periodicOf(addons)).length, DATABASES, "no second one when the first has ended");
  });

  test("leaves those alone that don't run, are switched off, have another hour or are settled", async () => {
    const addons = [
      await addDatabase({ status: "stopped" }),
      await addDatabase({ state: "provisioning", status: "creating" }),
      await addDatabase({ state: "removing" }),
      await addDatabase({ enabled: false }),
      await addDatabase({ hourUtc: 6 }),
      await addDatabase({ lastNight: TODAY }),
    ];
    await schedulePeriodicBackups(context);
    assert.deepEqual(await periodicOf(addons), []);
    await db.updateTable("databases").set({ status: "running" }).where("addon_id", "in", addons.slice(0, 1)).execute();
    await schedulePeriodicBackups(context);
    assert.deepEqual(await periodicOf(addons), [{ addon_id: addons[0], night: TODAY }], "later, as soon as it runs");
  });

  test("waits for a backup that somebody asked for, and doesn't take it for the night's", async () => {
    const addonId = await addDatabase();
    const manual = await addBackup(addonId, { createdAt: NOW, night: null, state: "running" });
    await schedulePeriodicBackups(context);
    assert.deepEqual(await periodicOf([addonId]), []);
    await db.updateTable("operations").set({ state: "done", ended_at: NOW }).where("addon_id", "=", addonId).execute();
    await schedulePeriodicBackups(context);
    assert.equal((await periodicOf([addonId])).length, 1);
    assert.equal((await listed(addonId)).length, 2);
    assert.ok((await listed(addonId)).includes(manual));
  });

  test("waits for a restore in place, an undoing and a dump that is restored", async () => {
    for (const kind of RESTORING_KINDS) {
      const addonId = await addDatabase();
      const operation = { id: newObjectId(NOW), kind, addonId, requestedBy: null };
      await insertOperation(db, operation);
      await schedulePeriodicBackups(context);
      assert.deepEqual(await periodicOf([addonId]), [], kind);
      await db.updateTable("operations").set({ state: "done", ended_at: NOW }).where("id", "=", operation.id).execute();
      await schedulePeriodicBackups(context);
      assert.equal((await periodicOf([addonId])).length, 1, kind);
    }
  });

  test("settles a night that has its backup already", async () => {
    const addonId = await addDatabase();
    await addNights(addonId, 1);
    await schedulePeriodicBackups(context);
    assert.equal((await periodicOf([addonId])).length, 1);
    const row = await db
      .selectFrom("databases")
      .select("periodic_last_night")
      .where("addon_id", "=", addonId)
      .executeTakeFirst();
    assert.equal(row?.periodic_last_night, TODAY);
  });
});

describe("expireLogicalBackups()", async () => {
  const faults: Faults = {};
  const repository = await openRepository(withFaults(openMemoryStore(context.clock), faults), {
    create: { id: "test", now: NOW },
  });
  const { signal } = new AbortController();

  const keysOf = (addonId: AddonId, id: string) => ({
    manifest: logicalManifestKey(addonId, id),
    archive: logicalArchiveKey(addonId, id, "00000001"),
  });

  /** Objects under the names of a committed backup: what is in them is nobody's business here. */
  async function store(addonId: AddonId, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const { manifest, archive } = keysOf(addonId, id);
      await repository.store.put(archive, Buffer.from("archive"));
      await repository.store.put(manifest, Buffer.from("manifest"));
    }
  }

  async function storedKeys(addonId: AddonId): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of repository.store.list(`databases/${addonId}/`)) keys.push(key);
    return keys.toSorted();
  }

  const keysOfAll = (addonId: AddonId, ids: readonly string[]): string[] =>
    ids.flatMap((id) => Object.values(keysOf(addonId, id))).toSorted();

  test("removes what the plan no longer keeps, with its bytes and its operation, and nothing else", async () => {
    const addonId = await addDatabase();
    const ids = await addNights(addonId, 45);
    await store(addonId, ids);
    const verdicts = await readVerdicts(context, addonId);
    const kept = ids.filter((id) => verdicts.get(id)?.isKept);
    assert.equal(kept.length, 10);
    await expireLogicalBackups(context, repository, { addonId, signal });
    assert.deepEqual(await listed(addonId), kept.toReversed());
    assert.deepEqual(await storedKeys(addonId), keysOfAll(addonId, kept));
    const operations = await db.selectFrom("operations").select("id").where("addon_id", "=", addonId).execute();
    assert.equal(operations.length, kept.length);
  });

  for (const [what, key] of [
    ["manifest", /\/manifests\//],
    ["archive", /\/archives\//],
  ] as const) {
    test(`keeps the row when the storage refuses to delete the ${what}, offers it to nobody, and goes on the next time`, async () => {
      const addonId = await addDatabase();
      const ids = await addNights(addonId, 9);
      const [old = ""] = ids;
      await db
        .updateTable("backups")
        .set({ night: addDays(TODAY, -90) })
        .where("id", "=", ids[0] ?? null)
        .execute();
      await store(addonId, ids);
      faults.delete = { key, error: new TidemarkError("storage_denied", "No permission to delete") };
      await assert.rejects(expireLogicalBackups(context, repository, { addonId, signal }), { code: "storage_denied" });
      assert.ok(!(await listed(addonId)).includes(old), "it is in no list");
      const rows = await db.selectFrom("backups").select("id").where("addon_id", "=", addonId).execute();
      assert.ok(
        rows.some(({ id }) => id === old),
        "the row stays",
      );
      assert.ok((await storedKeys(addonId)).includes(keysOf(addonId, old).archive), "the bytes are still there");
      const manifestIsThere = (await storedKeys(addonId)).includes(keysOf(addonId, old).manifest);
      assert.equal(manifestIsThere, what === "manifest");

      faults.delete = undefined;
      await expireLogicalBackups(context, repository, { addonId, signal });
      assert.ok(!(await storedKeys(addonId)).some((stored) => stored.includes(old)));
      const left = await db.selectFrom("backups").select("id").where("addon_id", "=", addonId).execute();
      assert.ok(!left.some(({ id }) => id === old));
      assert.equal(left.length, (await listed(addonId)).length);
    });
  }

  test("called many times at once removes each once, and never the newest good one", async () => {
    const addonId = await addDatabase({ enabled: false });
    const night = addDays(TODAY, -200);
    const ids = [
      await addBackup(addonId, { createdAt: startOfDay(addDays(night, -1)), night: addDays(night, -1) }),
      await addBackup(addonId, { createdAt: startOfDay(night), night }),
    ];
    await store(addonId, ids);
    await Promise.all(Array.from({ length: 6 }, () => expireLogicalBackups(context, repository, { addonId, signal })));
    assert.deepEqual(await listed(addonId), ids.slice(1));
    assert.deepEqual(await storedKeys(addonId), keysOfAll(addonId, ids.slice(1)));
  });

  test("removes nothing while the newest backup failed", async () => {
    const addonId = await addDatabase();
    const ids = await addNights(addonId, 40);
    await store(addonId, ids);
    await addBackup(addonId, { createdAt: NOW, night: null, state: "error" });
    await expireLogicalBackups(context, repository, { addonId, signal });
    assert.equal((await listed(addonId)).length, 41);
    assert.deepEqual(await storedKeys(addonId), keysOfAll(addonId, ids));
  });

  test("lets those of a removed database go by the same rules, down to the last", async () => {
    const removedAt = startOfDay(addDays(TODAY, -40));
    const addonId = await addDatabase({ state: "removed", status: "stopped", removedAt });
    const night = addDays(TODAY, -41);
    const ids = [
      await addBackup(addonId, { createdAt: startOfDay(night), night }),
      await addBackup(addonId, { createdAt: startOfDay(night), night: null }),
    ];
    await store(addonId, ids);
    await expireLogicalBackups(context, repository, { addonId, signal });
    assert.deepEqual(await listed(addonId), []);
    assert.deepEqual(await storedKeys(addonId), []);
  });
});
