import assert from "node:assert/strict";
import { after, test } from "node:test";
import { forgetContinuousBackups } from "../../../src/control/continuous-removal.ts";
import { forgetOldSamples, noteSample, readSamples } from "../../../src/control/database-samples.ts";
import { createEventService } from "../../../src/control/event-pages.ts";
import { createHealthService } from "../../../src/control/health-reports.ts";
import { checkHealth } from "../../../src/control/health-watch.ts";
import type { Principal } from "../../../src/control/model.ts";
import { askServers } from "../../../src/control/server-answers.ts";
import { claimWalStreams, noteGap, noteLineage, renewWalStream } from "../../../src/control/wal-stream-rows.ts";
import { isErrorCode } from "../../../src/core/errors.ts";
import { type AddonId, newAddonId, newObjectId } from "../../../src/core/ids.ts";
import { parseLsn, toTimelineId } from "../../../src/core/lsn.ts";
import { REPLICATION_SLOT } from "../../../src/instances/managed-database.ts";
import { planCatalogue } from "../../../src/policy/plans.ts";
import { type UtcDay, utcDayOf } from "../../../src/policy/utc-day.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { GatedStore } from "../../harness/gated-store.ts";
import { makePhysicalArchive } from "../../harness/physical-archive.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";
import { eventually, receiveWal, until, untilStored } from "../../harness/wal-scene.ts";

const HOST_ID = "0a1b2c3d";
const OWNER = "test";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START = new Date();
const PAGE = { page: 1, perPage: 30 };

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const clock = new SteppedClock(START);
const context = { database, clock, logger: quietLogger, plans: planCatalogue(), hostId: HOST_ID, startedAt: START };
const health = createHealthService(context);
const events = createEventService(context);
const ada = await addUser();
const none = Buffer.from("none");
await db
  .insertInto("platform")
  .values({ installation_id: "i", wrapped_jwt_key: none, wrapped_url_key: none })
  .execute();
let made = 0;

test("continuous backups that stall are delayed, then stale, then healthy again: one event for each", async (t) => {
  const managed = await startPostgresServer(t);
  let gate: GatedStore | undefined;
  const archive = await makePhysicalArchive(t, (store) => (gate = new GatedStore(store)));
  const { receiver } = await receiveWal(t, managed, archive, { slotName: REPLICATION_SLOT });
  await until(receiver, ({ state }) => state === "streaming");
  const app = "stalling";
  const addonId = await addDatabase(app);
  const beat = async (): Promise<void> => {
    const { status } = receiver;
    if (status.lineage === undefined || status.systemId === undefined) throw new Error("no lineage yet");
    await noteLineage(db, { addonId, lineage: status.lineage, systemId: status.systemId, reason: "first" });
    await renewWalStream(db, { owner: OWNER, addonId, status });
    await askServers(context, async () => managed.client());
    // Two at once: one of them tells.
    await Promise.all([checkHealth(context), checkHealth(context)]);
  };
  await managed.query("create database shop");
  await managed.query("create table item (id integer)");
  await untilStored(receiver, managed);
  await addBaseBackup(addonId, receiver.status.lineage ?? "");
  await beat();
  assert.deepEqual(await typesOf(app), []);
  const [before] = await statusOf(app);
  assert.deepEqual([before?.isRestorable, before?.continuous.state], [true, "healthy"]);

  gate?.set("failing");
  await managed.query("insert into item select generate_series(1, 1000)");
  await until(receiver, ({ storeError }) => storeError !== undefined);
  for (const [minutes, expected] of [
    [10, []],
    [6, ["database_continuousbackup_delayed"]],
    [20, ["database_continuousbackup_delayed"]],
    [25, ["database_continuousbackup_stale", "database_continuousbackup_delayed"]],
    [25, ["database_continuousbackup_stale", "database_continuousbackup_delayed"]],
  ] as const) {
    clock.advance(minutes * MINUTE_MS);
    await beat();
    assert.deepEqual(await typesOf(app), expected);
  }
  const [stalled] = await statusOf(app);
  assert.deepEqual(
    stalled?.problems.map(({ code }) => code),
    ["stale"],
  );
  assert.equal(stalled?.isRestorable, false);
  assert.ok((stalled?.continuous.lagBytes ?? 0) > 0 && (stalled?.continuous.retainedWalBytes ?? 0) > 0);
  const [stale] = (await events.ofApp(ada, app, PAGE)).items;
  assert.match(stale?.text ?? "", /is stale \(status: streaming: Cannot reach the store: the test shut it\)/);

  gate?.set("open");
  await eventually("healthy again", async () => {
    await beat();
    return (await typesOf(app))[0] === "database_continuousbackup_healthy";
  });
  await beat();
  assert.equal((await typesOf(app)).length, 3);
  const samples = await readSamples(db, addonId, clock.now());
  assert.ok(samples.every(({ sizeBytes }) => (sizeBytes ?? 0) > 0));
  assert.ok(Math.max(...samples.map(({ lagMs }) => lagMs ?? 0)) > 60 * MINUTE_MS, "the stall is in the samples");
  assert.equal((await statusOf(app))[0]?.isRestorable, true);
});

test("samples keep the largest lag and the last size of ten minutes, for seven days", async () => {
  const addonId = await addDatabase("sampled");
  const at = (minutes: number): Date => new Date(Date.parse("2026-03-01T10:00:00Z") + minutes * MINUTE_MS);
  const seen = [
    { at: at(1), lagMs: 500, sizeBytes: 10 },
    { at: at(4), lagMs: 2000, sizeBytes: 20 },
    { at: at(9), lagMs: null, sizeBytes: 30 },
    { at: at(10), lagMs: 100, sizeBytes: null },
    { at: at(31), lagMs: null, sizeBytes: null },
  ];
  for (const each of seen) await noteSample(db, { addonId, ...each });
  const kept = [
    { at: at(0), lagMs: 2000, sizeBytes: 30 },
    { at: at(10), lagMs: 100, sizeBytes: null },
  ];
  assert.deepEqual(await readSamples(db, addonId, at(20)), kept);
  await forgetOldSamples(db, at(7 * 24 * 60 + 5));
  assert.deepEqual(await readSamples(db, addonId, at(20)), kept.slice(1));
  await forgetContinuousBackups(db, addonId);
  assert.deepEqual(await readSamples(db, addonId, at(20)), []);
});

test("a database that never gets its first base backup is stale, and the missing base backup is told once", async () => {
  const app = "never";
  await addDatabase(app);
  for (const minutes of [1, 20, 45, 60]) {
    clock.advance(minutes * MINUTE_MS);
    await checkHealth(context);
  }
  assert.deepEqual(await typesOf(app), [
    "database_backup_overdue",
    "database_continuousbackup_stale",
    "database_continuousbackup_delayed",
  ]);
  const [line] = await statusOf(app);
  assert.deepEqual(
    line?.problems.map(({ code }) => code),
    ["nothing_restorable", "stale", "base_backup_overdue"],
  );
  assert.equal(line?.window, null);
});

test("a daily backup that nobody took is an alarm, whatever the schedule says of its nights, and ends with a good one", async () => {
  const app = "forgotten";
  // Noon: the daily backup is at midnight.
  clock.advance((36 - clock.now().getUTCHours()) * HOUR_MS);
  const addonId = await addDatabase(app);
  const overdue = async (): Promise<number> =>
    (await typesOf(app)).filter((type) => type === "database_backup_overdue").length;
  await stream(addonId);
  // As if each night had been begun.
  await db
    .updateTable("databases")
    .set({ periodic_last_night: utcDayOf(daysFromNow(60)) })
    .execute();
  await addBackup(addonId, utcDayOf(clock.now()));
  clock.advance(14 * HOUR_MS);
  await checkHealth(context);
  assert.equal(await overdue(), 0);
  clock.advance(10 * HOUR_MS);
  await checkHealth(context);
  await checkHealth(context);
  assert.equal(await overdue(), 1);
  assert.ok((await statusOf(app))[0]?.problems.some(({ code }) => code === "backup_overdue"));
  await addBackup(addonId, utcDayOf(clock.now()));
  await checkHealth(context);
  assert.ok(!(await statusOf(app))[0]?.problems.some(({ code }) => code === "backup_overdue"));
  clock.advance(24 * HOUR_MS);
  await checkHealth(context);
  assert.equal(await overdue(), 2);
});

test("a stopped server changes no state, and is said", async () => {
  const app = "stopped";
  const addonId = await addDatabase(app);
  await stream(addonId);
  await db
    .updateTable("databases")
    .set({ status: "stopped", status_reason: "its port is taken" })
    .where("addon_id", "=", addonId)
    .execute();
  clock.advance(3 * HOUR_MS);
  await checkHealth(context);
  assert.deepEqual(await typesOf(app), []);
  const [line] = await statusOf(app);
  assert.deepEqual(line?.problems, [{ code: "server_stopped", text: "the server is not running: its port is taken" }]);
  assert.deepEqual([line?.isRestorable, line?.window?.lagMs], [true, null]);
});

test("lost log makes a database restorable up to the hole only, until a base backup has closed it", async () => {
  const app = "holed";
  const addonId = await addDatabase(app);
  const lineage = await stream(addonId);
  const hole = { lineage, timeline: 1, from: parseLsn("0/4000000"), to: parseLsn("0/6000000") };
  assert.equal(await noteGap(db, { addonId, ...hole }), true);
  assert.equal(await noteGap(db, { addonId, ...hole }), false);
  const [line] = await statusOf(app);
  assert.equal(line?.problems[0]?.code, "not_restorable_to_now");
  assert.equal(line?.isRestorable, false);
  await addBaseBackup(addonId, lineage, "0/6000000");
  assert.equal((await statusOf(app))[0]?.isRestorable, true);
});

test("the platform's view shows the worst first, to its owner only", async () => {
  await assert.rejects(health.ofPlatform(ada, PAGE), (error) => isErrorCode(error, "forbidden"));
  const { items, totalCount } = await health.ofPlatform({ ...ada, isPlatformOwner: true }, PAGE);
  assert.equal(items[0]?.appName, "never");
  assert.equal(totalCount, made);
  const firstGood = items.findIndex(({ isRestorable }) => isRestorable);
  assert.ok(firstGood > 0 && items.slice(firstGood).every(({ isRestorable }) => isRestorable));
});

test("check() tells when databases were last looked at, and that nobody does any more", async () => {
  await checkHealth(context);
  assert.deepEqual(await health.check(), { checkedAt: clock.now(), isStalled: false });
  clock.advance(6 * MINUTE_MS);
  assert.equal((await health.check()).isStalled, true);
  const restarted = createHealthService({ ...context, startedAt: clock.now() });
  assert.equal((await restarted.check()).isStalled, false);
});

function daysFromNow(days: number): Date {
  return new Date(clock.now().getTime() + days * 24 * HOUR_MS);
}

async function typesOf(app: string): Promise<string[]> {
  return (await events.ofApp(ada, app, PAGE)).items.map(({ type }) => type);
}

async function statusOf(app: string) {
  return (await health.ofUser(ada)).filter(({ appName }) => appName === app);
}

async function addUser(): Promise<Principal> {
  const user = { username: "ada", email: "ada@x" };
  const userId = newObjectId(START);
  await db
    .insertInto("users")
    .values({ id: userId, ...user, fullname: "", password_hash: "", is_platform_owner: false })
    .execute();
  return { userId, ...user, isPlatformOwner: false, apiTokenId: null, loginEpoch: 0 };
}

/** An app with a database that was made at this moment. */
async function addDatabase(app: string): Promise<AddonId> {
  const now = clock.now();
  const id = newAddonId();
  const appId = newObjectId(now);
  await db.insertInto("apps").values({ id: appId, name: app, owner_id: ada.userId, removed_at: null }).execute();
  await db
    .insertInto("addons")
    .values({
      id,
      app_id: appId,
      name: "postgresql",
      resource_id: `${app}_${++made}`,
      plan_name: "postgresql-starter-512",
      state: "running",
      created_at: now,
      provisioned_at: now,
      removed_at: null,
    })
    .execute();
  await db
    .insertInto("databases")
    .values({
      addon_id: id,
      host_id: HOST_ID,
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
      periodic_last_night: utcDayOf(now),
    })
    .execute();
  await claimWalStreams(db, { owner: OWNER, hostId: HOST_ID, limit: 1000 });
  return id;
}

/** As a receiver and a base backup would leave it: restorable up to now. */
async function stream(addonId: AddonId): Promise<string> {
  const lineage = newObjectId(clock.now());
  await noteLineage(db, { addonId, lineage, systemId: "1", reason: "first" });
  await renewWalStream(db, {
    owner: OWNER,
    addonId,
    status: {
      state: "streaming",
      failures: 0,
      lineage,
      systemId: "1",
      received: undefined,
      durable: { timeline: toTimelineId(1), lsn: parseLsn("0/5000000") },
      newest: { lsn: parseLsn("0/5000000"), time: (BigInt(clock.now().getTime()) * 1000n) as never },
      spooledBytes: 0,
      lastError: undefined,
      storeError: undefined,
    },
  });
  await addBaseBackup(addonId, lineage);
  return lineage;
}

async function addBaseBackup(addonId: AddonId, lineage: string, startLsn = "0/1000000"): Promise<void> {
  const at = new Date(clock.now().getTime() - HOUR_MS);
  await db
    .insertInto("base_backups")
    .values({
      id: newObjectId(at),
      addon_id: addonId,
      lineage,
      timeline: 1,
      start_lsn: startLsn,
      stop_lsn: startLsn,
      started_at: at,
      finished_at: at,
      data_bytes: 1,
      stored_bytes: 1,
      suspect_pages: 0,
    })
    .execute();
}

async function addBackup(addonId: AddonId, night: UtcDay): Promise<void> {
  const now = clock.now();
  const operationId = newObjectId(now);
  await db
    .insertInto("operations")
    .values({ id: operationId, kind: "logical_backup", addon_id: addonId, state: "done", ended_at: now })
    .execute();
  await db
    .insertInto("backups")
    .values({
      id: newObjectId(now),
      addon_id: addonId,
      operation_id: operationId,
      method: "periodic",
      night,
      created_at: now,
    })
    .execute();
}
