import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { sql } from "kysely";
import { ChangeFeed } from "../../../src/control/change-feed.ts";
import {
  type Change,
  type ChangeBatch,
  type ChangeFollower,
  CHANGE_TOPICS,
} from "../../../src/control/change-service.ts";
import type { Principal } from "../../../src/control/model.ts";
import { insertUser, loadPrincipal } from "../../../src/control/users.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { isErrorCode } from "../../../src/core/errors.ts";
import { type AddonId, newAddonId, newObjectId, type ObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";
import { eventually } from "../../harness/wal-scene.ts";

/** Longer than a notification ever takes. */
const DEADLINE_MS = 30_000;

/** Tables of whose rows nobody is told, and why. */
const SILENT: Readonly<Record<string, string>> = {
  browser_sessions: "only their end is announced, which ends streams",
  database_samples: "are taken of the health, whose changes are announced",
  kept_data_folders: "change with the timelines of the restore that left them",
  kysely_migration: "not ours",
  kysely_migration_lock: "not ours",
  login_attempts: "counters against guessing",
  notifier_deliveries: "read when somebody looks at one notifier's deliveries",
  one_offs: "followed where they run: by being attached to",
  operation_totals: "counters for monitoring",
  platform: "keys, and the times of the last look",
  recovery_codes: "change with the second factor",
};

const clock = systemClock;
const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const feed = new ChangeFeed({ database, clock, logger: quietLogger });
after(() => feed.close());
const [alice, bob, owner] = [await makeUser("alice"), await makeUser("bob"), await makeUser("owner")];
const shop = await makeApp("shop", alice);
const other = await makeApp("other", bob);

test("every table announces its changes, by topics that are known, or is silent for a reason", async () => {
  const { rows: tables } = await sql<{ name: string }>`select tablename as name from pg_tables
    where schemaname = 'public'`.execute(db);
  const { rows: triggers } = await sql<{ name: string; topic: string }>`select event_object_table as name,
    substring(action_statement from 'announce_change\\(''(\\w+)''') as topic from information_schema.triggers`.execute(
    db,
  );
  const announced = new Set(triggers.map(({ name }) => name));
  assert.deepEqual(
    tables.map(({ name }) => name).filter((name) => !announced.has(name) && SILENT[name] === undefined),
    [],
  );
  assert.deepEqual(new Set(triggers.map(({ topic }) => topic)), new Set(CHANGE_TOPICS));
});

test("a change is told once it is committed, once, to whoever may see the app, and to the owner of the platform", async (t) => {
  const [ofAlice, ofBob, ofOwner] = [await follow(t, alice), await follow(t, bob), await follow(t, owner)];
  await db
    .transaction()
    .execute(async (transaction) => {
      await transaction.updateTable("apps").set({ name: "undone" }).where("id", "=", shop.id).execute();
      throw new Error("the change failed");
    })
    .catch(() => undefined);
  await db.transaction().execute(async (transaction) => {
    for (const port of [5001, 5002])
      await transaction.updateTable("databases").set({ port }).where("addon_id", "=", shop.addonId).execute();
  });
  await db.updateTable("databases").set({ port: 5003 }).where("addon_id", "=", other.addonId).execute();
  const ofShop: Change = { topic: "database", app: { id: shop.id, name: "shop" }, addonId: shop.addonId };
  const ofOther: Change = { topic: "database", app: { id: other.id, name: "other" }, addonId: other.addonId };
  assert.deepEqual(await takeUntil(ofOwner, owner, "other"), [ofShop, ofOther]);
  assert.deepEqual(await ofAlice.take(alice), [ofShop]);
  assert.deepEqual(await ofBob.take(bob), [ofOther]);
});

test("rights that change count from then on, and whoever gains or loses them is told", async (t) => {
  const [ofBob, ofOwner] = [await follow(t, bob), await follow(t, owner)];
  const id = newObjectId(clock.now());
  const touch = (port: number) =>
    db.updateTable("databases").set({ port }).where("addon_id", "=", shop.addonId).execute();
  await db
    .insertInto("collaborators")
    .values({
      id,
      app_id: shop.id,
      email: "bob@example.com",
      user_id: bob.userId,
      role: "limited",
      invitation_hash: null,
      invitation_expires_at: null,
      accepted_at: clock.now(),
    })
    .execute();
  await touch(6001);
  await takeUntil(ofOwner, owner, "shop");
  assert.deepEqual(topicsOf(await ofBob.take(bob)), ["apps of -", "collaborators of shop", "database of shop"]);
  await db.deleteFrom("collaborators").where("id", "=", id).execute();
  await touch(6002);
  await takeUntil(ofOwner, owner, "shop");
  assert.deepEqual(topicsOf(await ofBob.take(bob)), ["apps of -"]);
  await db.updateTable("apps").set({ removed_at: clock.now() }).where("id", "=", other.id).execute();
  await takeUntil(ofOwner, owner, "other");
  assert.deepEqual(topicsOf(await ofBob.take(bob)), ["apps of other"]);
  await db.updateTable("apps").set({ removed_at: null }).where("id", "=", other.id).execute();
});

test("leases that are prolonged and looks that find nothing new are silent", async (t) => {
  const operationId = newObjectId(clock.now());
  const ofShop = { addon_id: shop.addonId };
  await db
    .insertInto("operations")
    .values({ ...ofShop, id: operationId, kind: "logical_backup" })
    .execute();
  await db
    .insertInto("wal_streams")
    .values({ ...ofShop, state: "streaming" })
    .execute();
  await db.insertInto("database_health").values(ofShop).execute();
  await db
    .insertInto("api_tokens")
    .values({ id: "t1", user_id: alice.userId, name: "laptop", secret_hash: Buffer.from("x"), last_used_at: null })
    .execute();
  const follower = await follow(t, alice);
  await settle(follower, alice);
  const now = clock.now();
  await db
    .updateTable("operations")
    .set({ lease_owner: "w", lease_until: now })
    .where("id", "=", operationId)
    .execute();
  await db.updateTable("wal_streams").set({ lease_owner: "w", lease_until: now, updated_at: now }).execute();
  await db.updateTable("database_health").set({ asked_at: now }).execute();
  await db.updateTable("api_tokens").set({ last_used_at: now }).execute();
  await db.updateTable("databases").set({ status: "running" }).execute();
  assert.deepEqual(topicsOf(await settle(follower, alice)), []);
  await db.updateTable("operations").set({ progress_bytes: 7 }).where("id", "=", operationId).execute();
  await db.updateTable("wal_streams").set({ latest_recoverable_at: now }).execute();
  await db.updateTable("database_health").set({ server_lsn: "0/1" }).execute();
  await db.deleteFrom("api_tokens").where("id", "=", "t1").execute();
  assert.deepEqual(topicsOf(await settle(follower, alice)), [
    "account of -",
    "backups of shop",
    "health of shop",
    "window of shop",
  ]);
});

test("what one follower has waiting is bounded, as is how many follow for a user", async (t) => {
  const follower = await follow(t, alice);
  await settle(follower, alice);
  await sql`select pg_notify('tidemark_changes', concat('backups ', ${shop.id}::text, ' ad-', n, ' -'))
    from generate_series(1, 501) as n`.execute(db);
  // Taken before all have come, they would be fewer each time.
  const witness = await follow(t, bob);
  await eventually("all of them are heard", async () => {
    await sql`select pg_notify('tidemark_changes', concat('variables - - ', ${bob.userId}::text))`.execute(db);
    const batch = await witness.take(bob);
    return batch !== "all" && batch.some(({ topic }) => topic === "variables");
  });
  assert.equal(await follower.take(alice), "all");
  const more = [await follow(t, alice), await follow(t, alice), await follow(t, alice)];
  assert.throws(
    () => feed.follow(alice),
    (error) => isErrorCode(error, "too_many_requests"),
  );
  more[0]?.close();
  await follow(t, alice);
  await follow(t, bob);
});

test("a listening connection that breaks ends all that follow, and is made again", async (t) => {
  const follower = await follow(t, alice);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const untilEnd = async (): Promise<void> => {
    // What was announced before may still come.
    for (; !signal.aborted; await follower.take(alice)) await follower.wait({ timeoutMs: DEADLINE_MS, signal });
  };
  const ended = assert.rejects(untilEnd(), (error) => isErrorCode(error, "control_unavailable"));
  await server.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidemark changes'",
  );
  await ended;
  follower.close();
  const next = await follow(t, alice);
  await db.updateTable("databases").set({ port: 7001 }).where("addon_id", "=", shop.addonId).execute();
  await takeUntil(next, alice, "shop");
});

/** Follows until the test ends, once that is possible. */
async function follow(t: TestContext, principal: Principal): Promise<ChangeFollower> {
  let follower: ChangeFollower | undefined;
  await eventually("changes are heard of", () => {
    try {
      follower = feed.follow(principal);
      return true;
    } catch (error) {
      if (isErrorCode(error, "control_unavailable")) return false;
      throw error;
    }
  });
  assert.ok(follower !== undefined);
  const opened = follower;
  t.after(() => opened.close());
  return opened;
}

/** All that is told until a change of this app is. Notifications come in the order of commits, so others have what came before. */
async function takeUntil(follower: ChangeFollower, principal: Principal, app: string): Promise<readonly Change[]> {
  const all: Change[] = [];
  while (!all.some((change) => change.app?.name === app && change.topic !== "collaborators")) {
    await follower.wait({ timeoutMs: DEADLINE_MS, signal: AbortSignal.timeout(DEADLINE_MS) });
    const batch = await follower.take(principal);
    assert.ok(batch !== "all" && batch.length > 0, "nothing came in time");
    all.push(...batch);
  }
  return all;
}

/** What was told of all that is committed by now, without the sign by which that is known. */
async function settle(follower: ChangeFollower, principal: Principal): Promise<readonly Change[]> {
  await sql`select pg_notify('tidemark_changes', concat('variables - - ', ${principal.userId}::text))`.execute(db);
  const all: Change[] = [];
  while (!all.some(({ topic }) => topic === "variables")) {
    await follower.wait({ timeoutMs: DEADLINE_MS, signal: AbortSignal.timeout(DEADLINE_MS) });
    const batch = await follower.take(principal);
    assert.ok(batch !== "all" && batch.length > 0, "nothing came in time");
    all.push(...batch);
  }
  return all.filter(({ topic }) => topic !== "variables");
}

function topicsOf(batch: ChangeBatch): string[] {
  assert.ok(batch !== "all");
  return batch.map(({ topic, app }) => `${topic} of ${app?.name ?? "-"}`).toSorted();
}

async function makeUser(username: string): Promise<Principal> {
  const input = { username, email: `${username}@example.com`, fullname: "", password: "correct horse battery" };
  const { id } = await insertUser(database, clock, { ...input, isPlatformOwner: username === "owner" });
  return await loadPrincipal(database, { userId: id, apiTokenId: null });
}

/** An app with one database; of its server there are rows only. */
async function makeApp(name: string, { userId }: Principal): Promise<{ id: ObjectId; addonId: AddonId }> {
  const id = newObjectId(clock.now());
  const addonId = newAddonId();
  await db.insertInto("apps").values({ id, name, owner_id: userId, removed_at: null }).execute();
  await db
    .insertInto("addons")
    .values({
      id: addonId,
      app_id: id,
      name: "postgresql",
      resource_id: `${name}_1`,
      plan_name: "postgresql-starter-512",
      state: "running",
      provisioned_at: clock.now(),
      removed_at: null,
    })
    .execute();
  const none = Buffer.alloc(0);
  await db
    .insertInto("databases")
    .values({
      addon_id: addonId,
      host_id: "0a1b2c3d",
      major: 15,
      port: null,
      version: null,
      status: "running",
      status_reason: null,
      wrapped_owner_password: none,
      wrapped_backup_password: none,
      wrapped_replication_password: none,
      recipient: "none",
      wrapped_identity: none,
      periodic_last_night: "2026-03-01" as never,
    })
    .execute();
  return { id, addonId };
}
