import assert from "node:assert/strict";
import { test } from "node:test";
import { type BackupSchedule, changeSchedule, dueNight, newSchedule, nextRuns } from "./backup-schedule.ts";
import { type UtcDay, utcDayOf } from "./utc-day.ts";

const at = (text: string): Date => new Date(text);
const day = (text: string): UtcDay => utcDayOf(new Date(text));

function schedule(changes: Partial<BackupSchedule> = {}): BackupSchedule {
  return { addonId: "ad-1", isEnabled: true, hourUtc: 4, lastNight: day("2026-03-10"), ...changes };
}

test("newSchedule() is on at midnight UTC, and its first run is on the next day", () => {
  const made = newSchedule("ad-1", at("2026-03-11T12:00:00Z"));
  assert.deepEqual([made.isEnabled, made.hourUtc, made.lastNight], [true, 0, "2026-03-11"]);
  assert.equal(dueNight(made, at("2026-03-11T23:59:59Z")), undefined);
  assert.equal(dueNight(made, at("2026-03-12T01:00:00Z")), "2026-03-12");
  assert.equal(newSchedule("ad-1", at("2026-03-11T00:00:00Z")).lastNight, "2026-03-11");
});

test("dueNight() has a minute of the database's own inside the hour", () => {
  const [next] = nextRuns(schedule(), { count: 1 }, at("2026-03-10T12:00:00Z"));
  assert.ok(next !== undefined && next.at >= at("2026-03-11T04:00:00Z") && next.at < at("2026-03-11T05:00:00Z"));
  assert.equal(dueNight(schedule(), new Date(next.at.getTime() - 1)), undefined);
  assert.equal(dueNight(schedule(), next.at), "2026-03-11");
});

test("dueNight() makes up for the newest of several missed nights, once", () => {
  const late = at("2026-03-15T09:00:00Z");
  assert.equal(dueNight(schedule(), late), "2026-03-15");
  assert.equal(dueNight(schedule({ lastNight: day("2026-03-15") }), late), undefined);
});

test("dueNight() keeps a late run's night when midnight has passed", () => {
  const late = schedule({ hourUtc: 23, lastNight: day("2026-03-10") });
  assert.equal(dueNight(late, at("2026-03-12T00:30:00Z")), "2026-03-11");
});

test("nextRuns() tells a due run first, then each night once; nothing while it is off", () => {
  const now = at("2026-03-13T09:00:00Z");
  const runs = nextRuns(schedule(), { count: 3 }, now);
  assert.deepEqual(
    runs.map(({ night, isDue }) => [night, isDue]),
    [
      ["2026-03-13", true],
      ["2026-03-14", false],
      ["2026-03-15", false],
    ],
  );
  const settled = nextRuns(schedule({ lastNight: day("2026-03-13") }), { count: 1 }, now);
  assert.deepEqual(settled, runs.slice(1, 2));
  assert.deepEqual(nextRuns(schedule({ isEnabled: false }), { count: 3 }, now), []);
});

test("changeSchedule() gives no night a second run, and starts none by itself", () => {
  const done = schedule({ hourUtc: 0, lastNight: day("2026-03-11") });
  const later = changeSchedule(done, { hourUtc: 3 }, at("2026-03-11T01:30:00Z"));
  assert.equal(dueNight(later, at("2026-03-11T23:00:00Z")), undefined);
  assert.equal(dueNight(later, at("2026-03-12T04:00:00Z")), "2026-03-12");
  // At noon, from 23 to 1: one o'clock has passed today, and that doesn't make a run due now.
  const evening = schedule({ hourUtc: 23, lastNight: day("2026-03-10") });
  const earlier = changeSchedule(evening, { hourUtc: 1 }, at("2026-03-11T12:00:00Z"));
  assert.equal(dueNight(earlier, at("2026-03-11T12:00:01Z")), undefined);
  assert.equal(dueNight(earlier, at("2026-03-12T02:00:00Z")), "2026-03-12");
});

test("changeSchedule() still makes up for a run that was missed before it, once", () => {
  const now = at("2026-03-14T06:00:00Z");
  const missed = schedule({ hourUtc: 0, lastNight: day("2026-03-10") });
  assert.equal(dueNight(changeSchedule(missed, { hourUtc: 2 }, now), now), "2026-03-14");
  const tonight = changeSchedule(missed, { hourUtc: 20 }, now);
  assert.equal(dueNight(tonight, now), undefined, "its turn is still to come today");
  assert.equal(dueNight(tonight, at("2026-03-14T21:00:00Z")), "2026-03-14");
});

test("changeSchedule() forgets what passed while the schedule was off", () => {
  const off = changeSchedule(schedule(), { isEnabled: false }, at("2026-03-11T00:00:00Z"));
  assert.equal(dueNight(off, at("2026-03-20T06:00:00Z")), undefined);
  const on = changeSchedule(off, { isEnabled: true }, at("2026-03-20T06:00:00Z"));
  assert.equal(on.hourUtc, 4);
  assert.equal(dueNight(on, at("2026-03-20T07:00:00Z")), undefined);
  assert.equal(dueNight(on, at("2026-03-21T05:00:00Z")), "2026-03-21");
});

test("dueNight() gives 10,000 databases one run each in a night, spread evenly over the hour", () => {
  const perMinute = Array.from({ length: 60 }, () => 0);
  for (let index = 0; index < 10_000; index++) {
    const each = schedule({ addonId: `ad-${index}`, hourUtc: 0 });
    const [run] = nextRuns(each, { count: 1 }, at("2026-03-10T12:00:00Z"));
    assert.ok(run !== undefined);
    assert.equal(dueNight(each, new Date(run.at.getTime() - 1)), undefined);
    assert.equal(dueNight(each, run.at), "2026-03-11");
    assert.equal(dueNight({ ...each, lastNight: run.night }, at("2026-03-11T23:59:59Z")), undefined);
    const minute = Math.floor((run.at.getTime() - at("2026-03-11T00:00:00Z").getTime()) / 60_000);
    perMinute[minute] = (perMinute[minute] ?? 0) + 1;
  }
  assert.equal(perMinute.length, 60);
  for (const count of perMinute) assert.ok(count > 110 && count < 230, `${count} of 10,000 in one minute`);
});
