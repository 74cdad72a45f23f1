import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lsn } from "../core/lsn.ts";
import { type KnownBaseBackup, planContinuousRetention } from "./continuous-retention.ts";

const DAY_MS = 24 * 3600_000;
const now = new Date("2026-06-15T00:00:00Z");
const daysAgo = (days: number): Date => new Date(now.getTime() - days * DAY_MS);

function base(id: string, days: number, changes: Partial<KnownBaseBackup> = {}): KnownBaseBackup {
  // An LSN that grows with time: newer backups start further on.
  const startLsn = BigInt(1000 - days) as Lsn; // brand
  return {
    id,
    lineage: "L",
    timeline: 1,
    startLsn,
    stopLsn: startLsn,
    finishedAt: daysAgo(days),
    isRestorable: true,
    ...changes,
  };
}

const current = [{ id: "L", endedAt: null }];
const keptIds = (plan: ReturnType<typeof planContinuousRetention>): string[] =>
  plan.verdicts.filter(({ isKept }) => isKept).map(({ id }) => id);

test("planContinuousRetention() keeps the window and the one base backup before it", () => {
  const baseBackups = [base("a", 21), base("b", 14), base("c", 8), base("d", 6), base("e", 1)];
  const plan = planContinuousRetention({ recoveryWindowDays: 7, branches: [], baseBackups, lineages: current }, now);
  assert.deepEqual(keptIds(plan), ["c", "d", "e"]);
  assert.equal(plan.walFloors.get("L"), base("c", 8).startLsn);
});

test("planContinuousRetention() doesn't lean on a base backup whose WAL is incomplete", () => {
  const baseBackups = [base("a", 21), base("b", 14), base("c", 8, { isRestorable: false }), base("d", 6)];
  const plan = planContinuousRetention({ recoveryWindowDays: 7, branches: [], baseBackups, lineages: current }, now);
  assert.deepEqual(keptIds(plan), ["b", "d"]);
});

test("planContinuousRetention() never removes the last restorable one, however old, nor anything while none is", () => {
  const old = [base("a", 90), base("b", 60)];
  const facts = { recoveryWindowDays: 7, branches: [], lineages: [{ id: "L", endedAt: daysAgo(50) }] };
  assert.deepEqual(keptIds(planContinuousRetention({ ...facts, baseBackups: old }, now)), ["b"]);
  const broken = [base("a", 90, { isRestorable: false }), base("b", 60, { isRestorable: false })];
  assert.deepEqual(keptIds(planContinuousRetention({ ...facts, baseBackups: broken }, now)), ["a", "b"]);
});

test("planContinuousRetention() lets a lineage go when it ended before the window, and keeps it while its end lies inside", () => {
  const baseBackups = [base("old", 12, { lineage: "O" }), base("new", 3)];
  const lineages = (endedDaysAgo: number) => [{ id: "O", endedAt: daysAgo(endedDaysAgo) }, ...current];
  const gone = planContinuousRetention(
    { recoveryWindowDays: 7, branches: [], baseBackups, lineages: lineages(8) },
    now,
  );
  assert.deepEqual(keptIds(gone), ["new"]);
  assert.equal(gone.walFloors.get("O"), "all");
  const kept = planContinuousRetention(
    { recoveryWindowDays: 7, branches: [], baseBackups, lineages: lineages(4) },
    now,
  );
  assert.deepEqual(keptIds(kept), ["old", "new"]);
  assert.equal(kept.walFloors.get("O"), base("old", 12).startLsn);
});

test("planContinuousRetention() lets no WAL go before the first base backup is there", () => {
  const plan = planContinuousRetention(
    { recoveryWindowDays: 7, branches: [], baseBackups: [], lineages: current },
    now,
  );
  assert.equal(plan.walFloors.get("L"), "none");
});

test("planContinuousRetention() keeps the way to a restored branch's first moments", () => {
  const baseBackups = [base("early", 15), base("left behind", 9), base("own", 5, { timeline: 2 })];
  const branch = { lineage: "L", timeline: 2, parent: 1, at: base("", 12).startLsn, leftAt: null };
  const facts = { recoveryWindowDays: 7, baseBackups, lineages: current };
  assert.deepEqual(keptIds(planContinuousRetention({ ...facts, branches: [branch] }, now)), [
    "early",
    "left behind",
    "own",
  ]);
  assert.deepEqual(keptIds(planContinuousRetention({ ...facts, branches: [] }, now)), ["left behind", "own"]);
});
