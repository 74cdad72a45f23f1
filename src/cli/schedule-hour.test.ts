import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { isErrorCode } from "../core/errors.ts";
import { formatHour, nextLocalHour, readScheduleHour } from "./schedule-hour.ts";
import { findTimeZone, type TimeZone } from "./time-zone.ts";

const FOLDER = join(import.meta.dirname, "../../test/fixtures/zoneinfo");
const FILES = { folders: [FOLDER], local: "/nonexistent" };

async function zone(name: string): Promise<TimeZone> {
  const found = await findTimeZone(name, FILES);
  assert.ok(found !== undefined, name);
  return found;
}

const paris = await zone("Europe/Paris");
const WINTER = new Date("2026-01-15T12:00:00Z");
const SUMMER = new Date("2026-07-15T12:00:00Z");

const read = (typed: string, now = WINTER, local = paris): Promise<number> =>
  readScheduleHour(typed, { local, find: (name) => findTimeZone(name, FILES) }, now);

async function refusal(typed: string, local = paris): Promise<string> {
  const error = await read(typed, WINTER, local).then(
    (hour) => assert.fail(`"${typed}" was taken as ${hour}`),
    (refused: unknown) => refused,
  );
  assert.ok(isErrorCode(error, "usage"));
  return `${error.message} | ${error.hint}`;
}

test("readScheduleHour() reads hours of UTC with all their digits", async () => {
  for (const [typed, hour] of [
    ["0 UTC", 0],
    ["4:00 UTC", 4],
    ["04:00 utc", 4],
    ["4h UTC", 4],
    ["4h00 UTC", 4],
    ["10 UTC", 10],
    ["20 UTC", 20],
    [" 23:00  UTC ", 23],
  ] as const)
    assert.equal(await read(typed), hour, typed);
});

test("readScheduleHour() takes a local hour by the offset of its next occurrence", async () => {
  assert.equal(await read("3", WINTER), 2);
  assert.equal(await read("3", SUMMER), 1);
  assert.equal(await read("3 Europe/Paris", SUMMER, await zone("UTC")), 1);
  assert.equal(await read("1", WINTER), 0);
  assert.equal(await read("0", WINTER), 23);
  assert.equal(await read("20 America/New_York", WINTER), 1);
  assert.equal(await read("3 XYZ-5", WINTER), 22, "a rule is a zone as well");
});

test("nextLocalHour() on the day when clocks go forward skips the hour that isn't there", async () => {
  // On 2026-03-29 in Paris, 2:00 becomes 3:00 at 01:00 UTC.
  const before = new Date("2026-03-28T23:30:00Z");
  assert.equal(nextLocalHour(1, paris, before).toISOString(), "2026-03-29T00:00:00.000Z");
  assert.equal(nextLocalHour(2, paris, before).toISOString(), "2026-03-30T00:00:00.000Z");
  assert.equal(nextLocalHour(3, paris, before).toISOString(), "2026-03-29T01:00:00.000Z");
  assert.equal(await read("4", new Date("2026-03-28T12:00:00Z")), 2, "tomorrow it is summer");
});

test("nextLocalHour() on the day when clocks go back takes the first of two", async () => {
  // On 2026-10-25 in Paris, 3:00 becomes 2:00 at 01:00 UTC.
  assert.equal(nextLocalHour(2, paris, new Date("2026-10-24T23:30:00Z")).toISOString(), "2026-10-25T00:00:00.000Z");
  assert.equal(nextLocalHour(2, paris, new Date("2026-10-25T00:30:00Z")).toISOString(), "2026-10-25T01:00:00.000Z");
  assert.equal(nextLocalHour(3, paris, new Date("2026-10-24T23:30:00Z")).toISOString(), "2026-10-25T02:00:00.000Z");
  assert.equal(await read("4", new Date("2026-10-24T12:00:00Z")), 3, "tomorrow it is winter");
});

test("nextLocalHour() shows the hour, less than two days ahead, at any instant of any zone", async () => {
  const zones = await Promise.all(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Asia/Dubai"].map(zone));
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: 0, max: 23 }),
      fc.date({ min: new Date("2020-01-01"), max: new Date("2035-01-01"), noInvalidDate: true }),
      (each, hour, now) => {
        const next = nextLocalHour(hour, each, now);
        assert.ok(next >= now && next.getTime() - now.getTime() < 50 * 3600_000);
        assert.match(formatHour(next, each), new RegExp(`^${hour}:00 `));
      },
    ),
  );
});

test("readScheduleHour() refuses what is no hour, with the two nearest", async () => {
  assert.equal(await refusal("30"), '"30" is no hour of the day | The nearest are --schedule-at 23 and 0.');
  assert.equal(
    await refusal("24:00 UTC"),
    '"24:00 UTC" is no hour of the day | The nearest are --schedule-at "23 UTC" and "0 UTC".',
  );
  assert.match(await refusal("23:30"), /full hours[^|]*\| The nearest are --schedule-at 23 and 0\.$/);
  assert.match(await refusal("4h30 UTC"), /\| The nearest are --schedule-at "4 UTC" and "5 UTC"\.$/);
  for (const typed of ["", "noon", "-3", "3.5", "4:0", "3 Europe/Paris now"]) {
    assert.match(await refusal(typed), /is no hour of the day \| Give an hour/);
  }
});

test("readScheduleHour() refuses zones that lie between hours of UTC, with the two nearest, and unknown ones", async () => {
  const expected = 'The nearest are --schedule-at "21 UTC" (2:30 IST) and --schedule-at "22 UTC" (3:30 IST).';
  assert.match(
    await refusal("3 Asia/Kolkata"),
    new RegExp(`Asia/Kolkata.*\\| ${expected.replaceAll(/[().]/g, "\\$&")}$`),
  );
  assert.match(await refusal("3", await zone("Asia/Kolkata")), /of this machine's zone/);
  assert.match(await refusal("3 Mars/Olympus"), /There is no time zone "Mars\/Olympus"/);
});
