import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type BackupSchedule, changeSchedule, dueNight, newSchedule, nextRuns } from "./backup-schedule.ts";
import { addDays, startOfDay, type UtcDay, utcDayOf } from "./utc-day.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What may happen to a database, each after some minutes. */
type Event =
  /** A scheduler looks, and begins what is due. */
  | { readonly kind: "look" }
  /** Nobody looks for so long: the platform or the server is down. */
  | { readonly kind: "down"; readonly hours: number }
  /** The machine's clock is put right, or wrong. */
  | { readonly kind: "clock"; readonly hours: number }
  | { readonly kind: "hour"; readonly hourUtc: number }
  | { readonly kind: "switch"; readonly isEnabled: boolean };

const looks = fc.constant<Event>({ kind: "look" });
const downtimes = fc.integer({ min: 1, max: 90 }).map((hours): Event => ({ kind: "down", hours }));
const clocks = fc.integer({ min: -30, max: 5 }).map((hours): Event => ({ kind: "clock", hours }));
const hourChanges = fc.integer({ min: 0, max: 23 }).map((hourUtc): Event => ({ kind: "hour", hourUtc }));
const switches = fc.boolean().map((isEnabled): Event => ({ kind: "switch", isEnabled }));
const events = fc.array(
  fc.record({
    afterMinutes: fc.integer({ min: 0, max: 26 * 60 }),
    event: fc.oneof(
      { weight: 6, arbitrary: looks },
      { weight: 1, arbitrary: downtimes },
      { weight: 1, arbitrary: clocks },
      { weight: 2, arbitrary: hourChanges },
      { weight: 1, arbitrary: switches },
    ),
  }),
  { maxLength: 120 },
);

test("dueNight() never gives a night two runs, never an early one, and none because of a change", () => {
  fc.assert(
    fc.property(fc.uuid(), events, (addonId, history) => {
      let now = new Date("2026-01-01T10:00:00Z");
      let schedule = newSchedule(addonId, now);
      const nights: UtcDay[] = [];
      for (const { afterMinutes, event } of history) {
        now = new Date(now.getTime() + afterMinutes * MINUTE_MS + ("hours" in event ? event.hours * HOUR_MS : 0));
        if (event.kind === "look") {
          const night = dueNight(schedule, now);
          if (night === undefined) continue;
          assert.ok(
            nights.every((before) => before < night),
            `${night} ran twice, or late behind a newer one`,
          );
          const beginMs = startOfDay(night).getTime() + schedule.hourUtc * HOUR_MS;
          assert.ok(now.getTime() >= beginMs, `${night} ran early`);
          nights.push(night);
          schedule = settled(schedule, night);
          assert.equal(dueNight(schedule, now), undefined, "once only");
        } else if (event.kind === "hour" || event.kind === "switch") {
          const wasDue = dueNight(schedule, now) !== undefined;
          const change = event.kind === "hour" ? { hourUtc: event.hourUtc } : { isEnabled: event.isEnabled };
          schedule = changeSchedule(schedule, change, now);
          if (!wasDue) assert.equal(dueNight(schedule, now), undefined, "a change begins nothing");
        }
      }
    }),
  );
});

test("dueNight() misses no night of a platform that runs, whatever the minute at which its scheduler looks", () => {
  fc.assert(
    fc.property(
      fc.uuid(),
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 1, max: 59 }),
      (addonId, hourUtc, step) => {
        const start = new Date("2026-02-20T12:34:56Z");
        let schedule: BackupSchedule = changeSchedule(newSchedule(addonId, start), { hourUtc }, start);
        const nights: UtcDay[] = [];
        for (let nowMs = start.getTime(); nowMs < start.getTime() + 15 * 24 * HOUR_MS; nowMs += step * MINUTE_MS) {
          const night = dueNight(schedule, new Date(nowMs));
          if (night === undefined) continue;
          assert.ok(
            nowMs < startOfDay(night).getTime() + (hourUtc + 1) * HOUR_MS + step * MINUTE_MS,
            "within its hour",
          );
          nights.push(night);
          schedule = settled(schedule, night);
        }
        const [first] = nights;
        assert.ok(first !== undefined);
        assert.deepEqual(
          nights,
          nights.map((_, index) => addDays(first, index)),
        );
        assert.ok(nights.length === 14 || nights.length === 15);
      },
    ),
  );
});

test("changeSchedule() puts the next run less than 48 hours behind the last one", () => {
  const hour = fc.integer({ min: 0, max: 23 });
  fc.assert(
    fc.property(
      fc.uuid(),
      hour,
      hour,
      fc.integer({ min: 0, max: 1439 }),
      (addonId, hourUtc, changedHour, afterMinutes) => {
        const night = utcDayOf(new Date("2026-03-10"));
        const made = { addonId, isEnabled: true, hourUtc, lastNight: night };
        const [last] = nextRuns({ ...made, lastNight: addDays(night, -1) }, { count: 1 }, startOfDay(night));
        assert.ok(last !== undefined);
        const changedAt = new Date(last.at.getTime() + afterMinutes * MINUTE_MS);
        const schedule = changeSchedule(made, { hourUtc: changedHour }, changedAt);
        const [next] = nextRuns(schedule, { count: 1 }, last.at);
        const gapHours = ((next?.at.getTime() ?? Number.NaN) - last.at.getTime()) / HOUR_MS;
        assert.ok(gapHours > 0 && gapHours < 48, `${gapHours} hours`);
      },
    ),
  );
});

/** The schedule after the night's run has begun. */
function settled(schedule: BackupSchedule, night: UtcDay): BackupSchedule {
  return { ...schedule, lastNight: night };
}
