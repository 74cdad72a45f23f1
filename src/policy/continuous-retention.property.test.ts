import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, boolean, constantFrom, double, integer, property, record } from "fast-check";
import type { Lsn } from "../core/lsn.ts";
import { planContinuousRetention } from "./continuous-retention.ts";

const DAY_MS = 24 * 3600_000;
const now = new Date("2026-06-15T00:00:00Z");

const histories = array(
  record({
    ageDays: double({ min: 0, max: 60, noNaN: true }),
    lineage: constantFrom("A", "B"),
    isRestorable: boolean(),
  }),
  { maxLength: 25 },
).map((rows) =>
  rows.map((row, index) => ({
    id: `b${index}`,
    lineage: row.lineage,
    isRestorable: row.isRestorable,
    finishedAt: new Date(now.getTime() - row.ageDays * DAY_MS),
    timeline: 1,
    startLsn: BigInt(Math.floor((100 - row.ageDays) * 1000)) as Lsn, // brand
    stopLsn: BigInt(Math.floor((100 - row.ageDays) * 1000)) as Lsn, // brand
  })),
);

test("planContinuousRetention() keeps every moment of the window restorable that was, for any history", () => {
  check(
    property(
      histories,
      integer({ min: 1, max: 30 }),
      double({ min: 0, max: 60, noNaN: true }),
      (baseBackups, days, endedDays) => {
        const lineages = [
          { id: "A", endedAt: new Date(now.getTime() - endedDays * DAY_MS) },
          { id: "B", endedAt: null },
        ];
        const plan = planContinuousRetention({ recoveryWindowDays: days, baseBackups, lineages, branches: [] }, now);
        const kept = baseBackups.filter((_, index) => plan.verdicts[index]?.isKept);
        const restorable = baseBackups.filter((backup) => backup.isRestorable);
        // Never the last restorable chain.
        if (restorable.length > 0) assert.ok(kept.some((backup) => backup.isRestorable));
        else assert.equal(kept.length, baseBackups.length);
        // Any instant of the window that some base backup of the live lineage reached is still reached.
        for (let step = 0; step <= 20; step++) {
          const instant = new Date(now.getTime() - (days * DAY_MS * step) / 20);
          const reaches = (backups: typeof baseBackups) =>
            backups.some((backup) => backup.lineage === "B" && backup.isRestorable && backup.finishedAt <= instant);
          if (reaches(baseBackups)) assert.ok(reaches(kept), `${instant.toISOString()} was lost`);
        }
        // No WAL that a kept base backup needs.
        for (const backup of kept) {
          const floor = plan.walFloors.get(backup.lineage);
          assert.ok(floor === "none" || (typeof floor === "bigint" && floor <= backup.startLsn));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
