import assert from "node:assert/strict";
import { test } from "node:test";
import { nextBaseBackup } from "./base-backup-schedule.ts";

const HOUR_MS = 3600_000;
const now = new Date("2026-03-11T09:30:00Z");

test("nextBaseBackup() is due at once without a base backup and after the chain broke", () => {
  const none = nextBaseBackup({ addonId: "ad-1", lastStartedAt: null, brokenBecause: null }, now);
  assert.deepEqual(none.at, now);
  const broken = nextBaseBackup({ addonId: "ad-1", lastStartedAt: now, brokenBecause: "WAL was lost" }, now);
  assert.deepEqual(broken, { at: now, reason: "WAL was lost" });
});

test("nextBaseBackup() gives a database the same hour of every week", () => {
  const facts = { addonId: "ad-1", brokenBecause: null };
  const first = nextBaseBackup({ ...facts, lastStartedAt: now }, now).at;
  const second = nextBaseBackup({ ...facts, lastStartedAt: first }, now).at;
  assert.equal(second.getTime() - first.getTime(), 7 * 24 * HOUR_MS);
  assert.ok(first.getTime() - now.getTime() >= 24 * HOUR_MS);
  assert.ok(first.getTime() - now.getTime() < 8 * 24 * HOUR_MS);
});

test("nextBaseBackup() spreads many databases over the week", () => {
  const perDay = Array.from({ length: 7 }, () => 0);
  for (let index = 0; index < 7000; index++) {
    const { at } = nextBaseBackup({ addonId: `ad-${index}`, lastStartedAt: now, brokenBecause: null }, now);
    const day = at.getUTCDay();
    perDay[day] = (perDay[day] ?? 0) + 1;
  }
  for (const count of perDay) assert.ok(count > 850 && count < 1150, `${count} of 7,000 on one day`);
});
