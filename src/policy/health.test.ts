import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseLsn } from "../core/lsn.ts";
import {
  baseBackupDeadline,
  type ContinuousFacts,
  type ContinuousState,
  findProblems,
  isRestorable,
  judgeContinuous,
  type PeriodicFacts,
  periodicDeadline,
} from "./health.ts";
import { addDays, utcDayOf } from "./utc-day.ts";

const MINUTE_MS = 60_000;
const LIMITS = { delayedAfterMinutes: 15, staleAfterMinutes: 60 };
const NOW = new Date("2026-03-10T12:00:00Z");
const minutesAgo = (minutes: number): Date => new Date(NOW.getTime() - minutes * MINUTE_MS);
const AT_END = parseLsn("0/5000000");

const FINE: ContinuousFacts = {
  state: "healthy",
  provisionedAt: minutesAgo(100_000),
  isRunning: true,
  latestRecoverableAt: minutesAgo(0.05),
  storedLsn: AT_END,
  server: { lsn: AT_END, askedAt: minutesAgo(0.5), walStatus: "reserved" },
};

const judge = (changes: Partial<ContinuousFacts>, limits = LIMITS) =>
  judgeContinuous({ ...FINE, ...changes }, limits, NOW);

describe("judgeContinuous()", () => {
  test("passes from healthy over delayed to stale with the age of the newest restorable moment", () => {
    const behind = { storedLsn: parseLsn("0/4000000") };
    const states = [1, 14.9, 15.1, 59.9, 60.1, 5000].map(
      (minutes) => judge({ ...behind, latestRecoverableAt: minutesAgo(minutes) }).state,
    );
    assert.deepEqual(states, ["healthy", "healthy", "delayed", "delayed", "stale", "stale"]);
  });

  test("counts missing bytes, and finds an idle server with nothing missing not behind, however old its last commit is", () => {
    const idle = judge({ latestRecoverableAt: minutesAgo(600) });
    assert.deepEqual([idle.state, idle.lagBytes, idle.lagMs], ["healthy", 0n, 0.5 * MINUTE_MS]);
    const behind = judge({ storedLsn: parseLsn("0/4000000") });
    assert.equal(behind.lagBytes, 0x1000000n);
    const unknown = judge({ server: null, latestRecoverableAt: minutesAgo(600) });
    assert.deepEqual([unknown.state, unknown.lagBytes], ["stale", null]);
  });

  test("comes back to healthy only well below the limit, and never from stale to delayed", () => {
    const lagging = (state: ContinuousState, minutes: number) =>
      judge({ state, server: null, latestRecoverableAt: minutesAgo(minutes) }).state;
    assert.deepEqual(
      [lagging("delayed", 14), lagging("delayed", 8), lagging("delayed", 7)],
      ["delayed", "delayed", "healthy"],
    );
    assert.deepEqual([lagging("stale", 59), lagging("stale", 16), lagging("stale", 7)], ["stale", "stale", "healthy"]);
  });

  test("counts from the making of a database that has nothing restorable yet", () => {
    const none = { latestRecoverableAt: null, storedLsn: null };
    assert.equal(judge({ ...none, provisionedAt: minutesAgo(14) }).state, "healthy");
    assert.equal(judge({ ...none, provisionedAt: minutesAgo(61) }).state, "stale");
  });

  test("changes nothing while the server is stopped: it writes nothing that could be missing", () => {
    for (const state of ["healthy", "delayed", "stale"] as const) {
      const verdict = judge({ state, isRunning: false, server: null, latestRecoverableAt: minutesAgo(9000) });
      assert.deepEqual([verdict.state, verdict.lagMs], [state, null]);
    }
  });

  test("is delayed as soon as the server begins to remove log that isn't stored", () => {
    for (const walStatus of ["unreserved", "lost"])
      assert.equal(judge({ server: { lsn: AT_END, askedAt: NOW, walStatus } }).state, "delayed");
    assert.equal(judge({ server: { lsn: AT_END, askedAt: NOW, walStatus: "extended" } }).state, "healthy");
  });

  test("takes half a day for delayed and a day for stale, however patient the plan is", () => {
    const patient = { delayedAfterMinutes: 100_000, staleAfterMinutes: 100_000 };
    const at = (hours: number) => judge({ server: null, latestRecoverableAt: minutesAgo(hours * 60) }, patient).state;
    assert.deepEqual([at(11.9), at(12.1), at(24.1)], ["healthy", "delayed", "stale"]);
  });
});

describe("periodicDeadline()", () => {
  const day = (ofMarch: number) => addDays(utcDayOf(new Date("2026-03-01T00:00:00Z")), ofMarch - 1);
  const PERIODIC: PeriodicFacts = {
    schedule: { addonId: "ad-1", isEnabled: true, hourUtc: 3, lastNight: day(10) },
    provisionedAt: new Date("2026-03-01T05:00:00Z"),
    changedAt: null,
    lastGoodNight: day(9),
  };
  const hours = (facts: Partial<PeriodicFacts>): string | undefined =>
    periodicDeadline({ ...PERIODIC, ...facts })
      ?.toISOString()
      .slice(0, 13);

  test("is the next run after the last good one, and four hours; it asks nothing of the nights that were settled", () => {
    assert.equal(hours({}), "2026-03-10T07");
    const settled = { ...PERIODIC.schedule, lastNight: day(32) };
    assert.equal(hours({ schedule: settled }), "2026-03-10T07");
  });

  test("begins on the day after a database was made", () => {
    assert.equal(hours({ lastGoodNight: null }), "2026-03-02T07");
  });

  test("counts from the last change of the schedule, and is none while that is off", () => {
    assert.equal(hours({ changedAt: new Date("2026-03-20T12:00:00Z") }), "2026-03-21T07");
    assert.equal(periodicDeadline({ ...PERIODIC, schedule: { ...PERIODIC.schedule, isEnabled: false } }), null);
  });
});

test("baseBackupDeadline() is an hour for the first one, and a day more than a week at most for the others", () => {
  const facts = { addonId: "ad-1", provisionedAt: new Date("2026-03-01T05:00:00Z") };
  assert.equal(baseBackupDeadline({ ...facts, lastStartedAt: null }).toISOString(), "2026-03-01T06:00:00.000Z");
  const last = new Date("2026-03-10T05:00:00Z");
  const days = (baseBackupDeadline({ ...facts, lastStartedAt: last }).getTime() - last.getTime()) / 86_400_000;
  assert.ok(days >= 2 && days <= 9, String(days));
});

test("findProblems() tells all, the most urgent first; a stopped server and a delay alone leave a database restorable", () => {
  const fine = {
    state: "healthy",
    isRunning: true,
    hasWindow: true,
    hasOpenHole: false,
    lastBackupFailed: false,
    isPeriodicOverdue: false,
    isBaseBackupOverdue: false,
  } as const;
  assert.deepEqual(findProblems(fine), []);
  const worst = { hasWindow: false, hasOpenHole: true, lastBackupFailed: true, isPeriodicOverdue: true };
  assert.deepEqual(findProblems({ ...fine, ...worst, state: "stale", isBaseBackupOverdue: true, isRunning: false }), [
    "nothing_restorable",
    "not_restorable_to_now",
    "stale",
    "last_backup_failed",
    "backup_overdue",
    "base_backup_overdue",
    "server_stopped",
  ]);
  assert.ok(isRestorable(findProblems({ ...fine, state: "delayed", isRunning: false })));
  for (const broken of [
    { hasWindow: false },
    { hasOpenHole: true },
    { lastBackupFailed: true },
    { isPeriodicOverdue: true },
  ])
    assert.equal(isRestorable(findProblems({ ...fine, ...broken })), false);
});
