import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { windowAround } from "./maintenance-window.ts";

/** Tuesdays 22:00 to Wednesdays 06:00. */
const TUESDAY_NIGHT = { weekdayUtc: 2, startingHourUtc: 22, durationHours: 8 };
const HOUR_MS = 3600_000;

describe("windowAround()", () => {
  const cases: readonly [string, string, boolean, string][] = [
    ["before it on its day", "2026-11-24T21:59:59.999Z", false, "2026-11-24T22:00:00.000Z"],
    ["at its first moment", "2026-11-24T22:00:00.000Z", true, "2026-11-24T22:00:00.000Z"],
    ["past midnight", "2026-11-25T05:59:59.999Z", true, "2026-11-24T22:00:00.000Z"],
    ["at its end", "2026-11-25T06:00:00.000Z", false, "2026-12-01T22:00:00.000Z"],
    ["days away", "2026-11-22T10:00:00.000Z", false, "2026-11-24T22:00:00.000Z"],
    ["over the end of a year", "2026-12-30T12:00:00.000Z", false, "2027-01-05T22:00:00.000Z"],
  ];
  for (const [when, now, isOpen, startsAt] of cases)
    test(`finds the window when asked ${when}`, () => {
      const found = windowAround(TUESDAY_NIGHT, new Date(now));
      assert.deepEqual([found.isOpen, found.startsAt.toISOString()], [isOpen, startsAt]);
      assert.equal(found.endsAt.getTime() - found.startsAt.getTime(), 8 * HOUR_MS);
    });

  test("answers a window of that day and hour that is open now, or the first one ahead", () => {
    const window = fc.record({
      weekdayUtc: fc.integer({ min: 0, max: 6 }),
      startingHourUtc: fc.integer({ min: 0, max: 23 }),
      durationHours: fc.integer({ min: 1, max: 24 }),
    });
    const moment = fc.date({ min: new Date("2020-01-01"), max: new Date("2040-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(window, moment, (each, now) => {
        const { startsAt, endsAt, isOpen } = windowAround(each, now);
        assert.deepEqual([startsAt.getUTCDay(), startsAt.getUTCHours()], [each.weekdayUtc, each.startingHourUtc]);
        assert.equal(isOpen, startsAt <= now && now < endsAt);
        assert.ok(startsAt.getTime() - now.getTime() <= 7 * 24 * HOUR_MS);
        assert.ok(endsAt > now);
      }),
    );
  });
});
