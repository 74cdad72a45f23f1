import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFullRun } from "../../test/harness/full.ts";
import {
  type BackupRetentionFacts,
  type KnownBackup,
  LAST_COPY_AFTER_REMOVAL_DAYS,
  planBackupRetention,
} from "./backup-retention.ts";
import { utcDayOf } from "./utc-day.ts";

const RUNS = isFullRun ? 100_000 : 2000;
const DAY_MS = 24 * 3600_000;
const now = new Date("2026-06-15T09:00:00Z");
const daysAgo = (days: number): Date => new Date(now.getTime() - days * DAY_MS);

const count = (max: number) => fc.integer({ min: 0, max });
const retentions = fc.record({
  dailyCount: count(10),
  weeklyCount: count(10),
  monthlyCount: count(14),
  manualCount: count(12),
  recoveryWindowDays: fc.constant(7),
  manualAfterDeletionDays: count(400),
});

/** Any mixture of backups; of each night one periodic backup at most, as the platform has it. */
const histories = fc
  .uniqueArray(
    fc.record({
      ageDays: fc.oneof(fc.double({ min: 0, max: 12, noNaN: true }), fc.double({ min: 0, max: 500, noNaN: true })),
      method: fc.constantFrom("periodic", "manual"),
      state: fc.constantFrom("done", "done", "done", "failed", "cancelled", "open"),
    }),
    { maxLength: 40, selector: ({ ageDays, method }) => (method === "manual" ? ageDays : utcDayOf(daysAgo(ageDays))) },
  )
  .map((rows) =>
    rows.map(({ ageDays, method, state }, index): KnownBackup => {
      const createdAt = daysAgo(ageDays);
      return { id: `b${index}`, method, state, createdAt, night: method === "periodic" ? utcDayOf(createdAt) : null };
    }),
  );

const facts: fc.Arbitrary<BackupRetentionFacts> = fc.record({
  retention: retentions,
  isScheduled: fc.boolean(),
  hasDamagedPages: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  removedAt: fc.option(fc.double({ min: 0, max: 90, noNaN: true }).map(daysAgo)),
  backups: histories,
});

/** Newest first; of the same millisecond the higher id is the newer. */
function newestFirst(backups: readonly KnownBackup[]): KnownBackup[] {
  return backups.toSorted(
    (a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0),
  );
}

function newestOf(backups: readonly KnownBackup[], ...states: KnownBackup["state"][]): KnownBackup | undefined {
  return newestFirst(backups.filter(({ state }) => states.includes(state)))[0];
}

function check(property: (input: BackupRetentionFacts, kept: ReadonlySet<string>) => void): void {
  fc.assert(
    fc.property(facts, (input) => {
      const verdicts = planBackupRetention(input, now);
      assert.deepEqual(
        verdicts.map(({ id }) => id),
        input.backups.map(({ id }) => id),
      );
      property(input, new Set(verdicts.filter(({ isKept }) => isKept).map(({ id }) => id)));
    }),
    { numRuns: RUNS },
  );
}

test("planBackupRetention() never loses the last good copy, for any history and any plan", () => {
  check(({ backups, removedAt }, kept) => {
    const last = newestOf(backups, "done");
    if (last === undefined) return;
    const isProtected =
      removedAt === null || now.getTime() < removedAt.getTime() + LAST_COPY_AFTER_REMOVAL_DAYS * DAY_MS;
    if (isProtected) assert.ok(kept.has(last.id));
  });
});

test("planBackupRetention() removes no good backup of a database whose newest attempt failed or whose pages are damaged", () => {
  check(({ backups, removedAt, hasDamagedPages }, kept) => {
    const hasFailed = newestOf(backups, "done", "failed")?.state === "failed";
    if (removedAt !== null || !(hasFailed || hasDamagedPages)) return;
    for (const backup of backups) if (backup.state === "done") assert.ok(kept.has(backup.id));
  });
});

test("planBackupRetention() never touches one that has not ended, and keeps the newest manual ones", () => {
  check(({ backups, removedAt, retention }, kept) => {
    for (const backup of backups) if (backup.state === "open") assert.ok(kept.has(backup.id));
    if (removedAt !== null) return;
    const manual = backups.filter(({ method, state }) => method === "manual" && state === "done");
    for (const backup of newestFirst(manual).slice(0, retention.manualCount)) assert.ok(kept.has(backup.id));
  });
});

test("planBackupRetention() finds nothing more to remove once what goes is gone", () => {
  check((input, kept) => {
    const left = input.backups.filter(({ id }) => kept.has(id));
    const again = planBackupRetention({ ...input, backups: left }, now);
    assert.deepEqual(
      again.filter(({ isKept }) => !isKept),
      [],
    );
  });
});

test("planBackupRetention() gives each backup a reason, and a kept one with a date is kept until then if nothing changes", () => {
  check((input, kept) => {
    for (const verdict of planBackupRetention(input, now)) {
      assert.ok(verdict.reason.length > 0);
      assert.equal(verdict.isKept, kept.has(verdict.id));
      if (verdict.keptUntil === null) continue;
      assert.ok(verdict.isKept);
      const justBefore = new Date(verdict.keptUntil.getTime() - 1);
      if (justBefore <= now) continue;
      const later = planBackupRetention(input, justBefore).find(({ id }) => id === verdict.id);
      assert.equal(later?.isKept, true, `${verdict.reason} until ${verdict.keptUntil.toISOString()}`);
    }
  });
});
