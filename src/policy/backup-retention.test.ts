import assert from "node:assert/strict";
import { test } from "node:test";
import { type BackupRetentionFacts, type KnownBackup, planBackupRetention } from "./backup-retention.ts";
import { planCatalogue } from "./plans.ts";
import { addDays, dayOfNumber, startOfDay, type UtcDay, utcDayOf } from "./utc-day.ts";

const HOUR_MS = 3600_000;
const starter = retentionOf("postgresql-starter-512");
const business = retentionOf("postgresql-business-512");
/** A Wednesday. */
const now = new Date("2026-11-18T12:00:00Z");
const today = utcDayOf(now);

function retentionOf(name: string): BackupRetentionFacts["retention"] {
  const found = planCatalogue().find(name);
  assert.ok(found !== undefined);
  return found.retention;
}

function nightly(night: UtcDay, state: KnownBackup["state"] = "done"): KnownBackup {
  return {
    id: `p${night}`,
    method: "periodic",
    state,
    night,
    createdAt: new Date(startOfDay(night).getTime() + HOUR_MS),
  };
}

/** One for each night, from so many days ago until today. */
function nights(count: number): KnownBackup[] {
  return Array.from({ length: count }, (_, index) => nightly(addDays(today, index + 1 - count)));
}

function manual(id: string, daysAgo: number, state: KnownBackup["state"] = "done"): KnownBackup {
  return { id, method: "manual", state, night: null, createdAt: new Date(now.getTime() - daysAgo * 24 * HOUR_MS) };
}

function plan(backups: readonly KnownBackup[], changes: Partial<BackupRetentionFacts> = {}) {
  return planBackupRetention(
    { retention: starter, isScheduled: true, hasDamagedPages: false, removedAt: null, backups, ...changes },
    now,
  );
}

const kept = (verdicts: ReturnType<typeof plan>): string[] =>
  verdicts.filter(({ isKept }) => isKept).map(({ id }) => id);

test("planBackupRetention() keeps 7 days and 4 Sundays on Starter plans", () => {
  assert.deepEqual(kept(plan(nights(60))), [
    "p2026-10-25",
    "p2026-11-01",
    "p2026-11-08",
    "p2026-11-12",
    "p2026-11-13",
    "p2026-11-14",
    "p2026-11-15",
    "p2026-11-16",
    "p2026-11-17",
    "p2026-11-18",
  ]);
});

test("planBackupRetention() keeps 8 Sundays and 12 first Sundays on top of the days on Business plans", () => {
  const ids = kept(plan(nights(800), { retention: business }));
  assert.deepEqual(ids.slice(0, -7), [
    "p2025-12-07",
    "p2026-01-04",
    "p2026-02-01",
    "p2026-03-01",
    "p2026-04-05",
    "p2026-05-03",
    "p2026-06-07",
    "p2026-07-05",
    "p2026-08-02",
    "p2026-09-06",
    "p2026-09-27",
    "p2026-10-04",
    "p2026-10-11",
    "p2026-10-18",
    "p2026-10-25",
    "p2026-11-01",
    "p2026-11-08",
  ]);
});

test("planBackupRetention() says of each why, and until when at least", () => {
  const verdicts = new Map(plan(nights(60), { retention: business }).map((verdict) => [verdict.id, verdict]));
  assert.deepEqual(verdicts.get("p2026-11-17"), {
    id: "p2026-11-17",
    isKept: true,
    keptUntil: new Date("2026-11-24T00:00:00Z"),
    reason: "Daily",
  });
  const sunday = verdicts.get("p2026-11-15");
  assert.deepEqual([sunday?.reason, sunday?.keptUntil], ["Daily, Weekly", new Date("2027-01-10T00:00:00Z")]);
  const first = verdicts.get("p2026-11-01");
  assert.deepEqual([first?.reason, first?.keptUntil], ["Weekly, Monthly", new Date("2027-11-07T00:00:00Z")]);
  const gone = verdicts.get("p2026-11-10");
  assert.deepEqual(
    [gone?.isKept, gone?.keptUntil, gone?.reason],
    [false, null, "Older than the 7 daily, 8 weekly and 12 monthly ones that the plan keeps"],
  );
});

test("planBackupRetention() keeps 7 nights before tonight's backup is there as well as after", () => {
  const withTonight = nights(20);
  const before = [...withTonight.slice(0, -1), nightly(today, "open")];
  assert.equal(kept(plan(before)).filter((id) => id >= "p2026-11-11").length, 8, "7 nights and the open one");
  assert.equal(kept(plan(withTonight)).filter((id) => id >= "p2026-11-11").length, 7);
});

test("planBackupRetention() lets the next good night stand in for a Sunday that failed", () => {
  const backups = nights(40).map((backup) =>
    backup.night === "2026-11-01" ? nightly(backup.night, "failed") : backup,
  );
  const verdicts = new Map(plan(backups, { retention: business }).map((verdict) => [verdict.id, verdict]));
  assert.equal(verdicts.get("p2026-11-02")?.reason, "Weekly, Monthly");
  assert.equal(verdicts.get("p2026-11-03")?.isKept, false);
});

test("planBackupRetention() rolls manual backups by number, whatever their age, and counts done ones only", () => {
  const done = Array.from({ length: 12 }, (_, index) => manual(`m${String(index).padStart(2, "0")}`, 500 - index));
  const backups = [...done, manual("x-failed", 3, "failed"), manual("y-open", 0, "open"), nightly(today)];
  const verdicts = plan(backups);
  assert.deepEqual(
    verdicts.filter(({ isKept }) => !isKept).map(({ id, reason }) => `${id} ${reason}`),
    ["m00 10 newer manual backups are there", "m01 10 newer manual backups are there"],
  );
  assert.equal(verdicts[5]?.keptUntil, null);
});

test("planBackupRetention() removes nothing while the newest attempt has failed, and says so", () => {
  const backups = [...nights(60).slice(0, -1), nightly(today, "failed")];
  const verdicts = plan(backups);
  assert.deepEqual(
    verdicts.filter(({ isKept }) => !isKept),
    [],
  );
  assert.equal(verdicts[0]?.reason, "The newest backup failed: nothing goes until one succeeds");
  // A manual backup that succeeds afterwards shows that backups work.
  assert.equal(kept(plan([...backups, manual("m", 0.1)])).length, 12);
  // A cancelled one shows nothing either way.
  assert.equal(kept(plan([...backups, manual("m", 0.1, "cancelled")])).length, 61);
});

test("planBackupRetention() removes nothing while scheduled backups are missing, unless none are wanted", () => {
  const stale = nights(60).slice(0, -3);
  assert.deepEqual(kept(plan(stale)).length, 57);
  assert.equal(plan(stale)[0]?.reason, "Scheduled backups are missing: nothing goes until one succeeds");
  assert.ok(kept(plan(stale, { isScheduled: false })).length < 10);
});

test("planBackupRetention() removes nothing while the database's own pages are damaged", () => {
  const verdicts = plan(nights(60), { hasDamagedPages: true });
  assert.equal(kept(verdicts).length, 60);
  assert.equal(verdicts[0]?.reason, "Page checksums of the database are wrong: nothing goes until they are right");
});

test("planBackupRetention() never removes the newest good backup of a database that exists", () => {
  const old = [nightly(dayOfNumber(15_000)), nightly(dayOfNumber(15_001))];
  assert.deepEqual(kept(plan(old, { isScheduled: false })), [old[1]?.id]);
});

test("planBackupRetention() lets those of a deleted database expire, manual ones by their creation", () => {
  const removedAt = new Date("2026-11-10T00:00:00Z");
  const backups = [...nights(40).slice(0, -9), manual("m-old", 31), manual("m-new", 30)];
  const verdicts = plan(backups, { removedAt });
  // The newest of all stays as the last good copy.
  assert.deepEqual(kept(verdicts), ["p2026-10-25", "p2026-11-01", "p2026-11-08", "p2026-11-09", "m-new"]);
  const manualOne = verdicts.at(-1);
  assert.equal(manualOne?.reason, "Manual, 31 days from its creation");
  assert.deepEqual(manualOne?.keptUntil, new Date(now.getTime() + 24 * HOUR_MS));
});

test("planBackupRetention() keeps the last good copy for a month after its database was deleted", () => {
  const ancient = [manual("m1", 300), manual("m2", 200)];
  const verdicts = plan(ancient, { removedAt: new Date("2026-11-17T00:00:00Z") });
  assert.deepEqual(kept(verdicts), ["m2"]);
  assert.deepEqual(verdicts[1]?.keptUntil, new Date("2026-12-18T00:00:00Z"));
  assert.deepEqual(kept(plan(ancient, { removedAt: new Date("2026-10-18T00:00:00Z") })), []);
});

test("planBackupRetention() forgets failed and cancelled ones after a month, the newest attempt excepted", () => {
  const backups = [
    manual("f1", 40, "failed"),
    manual("c1", 33, "cancelled"),
    manual("f2", 32, "failed"),
    manual("f3", 5, "failed"),
  ];
  assert.deepEqual(kept(plan(backups, { isScheduled: false })), ["f3"]);
  assert.deepEqual(kept(plan(backups.slice(0, 3), { isScheduled: false })), ["f2"]);
});
