import assert from "node:assert/strict";
import { test } from "node:test";
import { isFullRun } from "../../test/harness/full.ts";
import {
  type BackupRetentionFacts,
  FAILED_KEPT_DAYS,
  type KnownBackup,
  planBackupRetention,
} from "./backup-retention.ts";
import { type BackupSchedule, changeSchedule, dueNight, newSchedule } from "./backup-schedule.ts";
import { planCatalogue } from "./plans.ts";

/**
 * Two years of one database's life, an hour at a time: nights that fail, days without a platform, manual backups, changes of plan, of the hour and of the
 * switch, and of the clocks in a zone whose user wants the same local hour all year. After each run and every few hours the policy decides, and an oracle that shares no code with it says which backups it would keep; both must agree on every one.
 */
const LIVES = isFullRun ? 40 : 2;
/** Between runs little changes from one hour to the next. */
const DECISION_EVERY_HOURS = 5;
const HOURS = 731 * 24;
const HOUR_MS = 3600_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const ZONE = "Europe/Paris";
/** Clocks in it change in March and October. */
const CLOCK_CHANGES = 4;

type Retention = BackupRetentionFacts["retention"];

/** What has happened so far, and what holds now. */
interface Life {
  schedule: BackupSchedule;
  plan: Retention;
  backups: KnownBackup[];
  /** Until when nothing of the platform runs. */
  downUntilMs: number;
  /** Until when each backup fails. */
  failingUntilMs: number;
  /** Until when the server's own pages are damaged. */
  damagedUntilMs: number;
  runs: number;
  removed: number;
  madeUpFor: number;
  clockChanges: number;
  /** Of the zone, when it was last looked at. */
  offsetHours: number;
}

for (let seed = 1; seed <= LIVES; seed++) {
  test(`two years of nights agree with the oracle, life ${seed}`, () => {
    const random = numbersFrom(seed);
    const life: Life = {
      schedule: newSchedule(`ad-${seed}`, new Date(START)),
      plan: retentionOf("starter"),
      backups: [],
      downUntilMs: 0,
      failingUntilMs: 0,
      damagedUntilMs: 0,
      runs: 0,
      removed: 0,
      madeUpFor: 0,
      clockChanges: 0,
      offsetHours: offsetHoursAt(new Date(START)),
    };
    const nights = new Set<string>();
    for (let hour = 0; hour < HOURS; hour++) {
      const now = new Date(START + hour * HOUR_MS + Math.floor(random() * HOUR_MS));
      happen(life, random, now);
      // After the hour in which clocks change.
      if (hour % 24 === 2) followClocks(life, now);
      if (now.getTime() < life.downUntilMs) continue;
      const night = dueNight(life.schedule, now);
      if (night === undefined && hour % DECISION_EVERY_HOURS !== 0) continue;
      if (night !== undefined) {
        assert.ok(!nights.has(night), `${night} ran twice`);
        nights.add(night);
        if (now.getUTCHours() !== life.schedule.hourUtc) life.madeUpFor++;
        life.schedule = { ...life.schedule, lastNight: night };
        addBackup(life, random, { now, method: "periodic", night });
      }
      decide(life, now);
    }
    // It was a life with something of everything.
    assert.equal(life.clockChanges, CLOCK_CHANGES);
    assert.ok(life.runs > 550 && life.removed > 400 && life.madeUpFor > 3, JSON.stringify({ ...life, backups: [] }));
  });
}

function happen(life: Life, random: () => number, now: Date): void {
  const happens = (timesPerYear: number): boolean => random() < timesPerYear / (365 * 24);
  if (happens(10)) life.downUntilMs = now.getTime() + random() * 90 * HOUR_MS;
  if (happens(8)) life.failingUntilMs = now.getTime() + random() * 20 * 24 * HOUR_MS;
  if (happens(2)) life.damagedUntilMs = now.getTime() + random() * 10 * 24 * HOUR_MS;
  if (happens(15)) life.schedule = changeSchedule(life.schedule, { hourUtc: Math.floor(random() * 24) }, now);
  if (happens(6)) life.plan = retentionOf(random() < 0.5 ? "starter" : "business");
  if (happens(3)) life.schedule = changeSchedule(life.schedule, { isEnabled: false }, now);
  if (happens(60) && !life.schedule.isEnabled) life.schedule = changeSchedule(life.schedule, { isEnabled: true }, now);
  if (happens(40)) addBackup(life, random, { now, method: "manual", night: null });
}

/** On the day that the zone's clocks change, its user says the same local hour again. */
function followClocks(life: Life, now: Date): void {
  const offsetHours = offsetHoursAt(now);
  if (offsetHours === life.offsetHours) return;
  const hourUtc = (life.schedule.hourUtc + life.offsetHours - offsetHours + 24) % 24;
  life.schedule = changeSchedule(life.schedule, { hourUtc }, now);
  life.offsetHours = offsetHours;
  life.clockChanges++;
}

function offsetHoursAt(instant: Date): number {
  const local = Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(ZONE);
  return local.offsetNanoseconds / 3600e9;
}

function addBackup(
  life: Life,
  random: () => number,
  { now, method, night }: Pick<KnownBackup, "method" | "night"> & { now: Date },
): void {
  const fails = now.getTime() < life.failingUntilMs || random() < 0.03;
  const state = fails ? (random() < 0.1 ? "cancelled" : "failed") : "done";
  life.runs++;
  life.backups.push({ id: String(life.runs).padStart(6, "0"), method, night, state, createdAt: now });
}

function decide(life: Life, now: Date): void {
  const facts = {
    retention: life.plan,
    isScheduled: life.schedule.isEnabled,
    hasDamagedPages: now.getTime() < life.damagedUntilMs,
    removedAt: null,
    backups: life.backups,
  };
  const verdicts = planBackupRetention(facts, now);
  const kept = verdicts.filter(({ isKept }) => isKept).map(({ id }) => id);
  const expected = oracle(facts, now);
  assert.deepEqual(
    kept,
    life.backups.map(({ id }) => id).filter((id) => expected.has(id)),
    `at ${now.toISOString()}`,
  );
  const keptIds = new Set(kept);
  life.removed += life.backups.length - kept.length;
  life.backups = life.backups.filter(({ id }) => keptIds.has(id));
}

/** Ids of what is to be kept, found the long way: by walking the calendar from promise to backup, where the policy goes from backup to promise. */
function oracle({ retention, isScheduled, hasDamagedPages, backups }: BackupRetentionFacts, now: Date): Set<string> {
  const all = new Set(backups.map(({ id }) => id));
  const good = backups.filter(({ state }) => state === "done");
  const hasEnded = backups.filter(({ state }) => state !== "cancelled");
  const ageHours = ({ createdAt }: KnownBackup): number => (now.getTime() - createdAt.getTime()) / HOUR_MS;
  const expected = new Set<string>();
  // Appended in order of time: the last is the newest.
  const last = good.at(-1);
  const isSilent = isScheduled && last !== undefined && ageHours(last) > 48;
  const isFrozen = hasEnded.at(-1)?.state === "failed" || isSilent || hasDamagedPages;
  for (const { id } of isFrozen ? good : good.slice(-1)) expected.add(id);
  for (const backup of backups) {
    const isNewestAttempt = backup === hasEnded.at(-1);
    if (backup.state !== "done" && (ageHours(backup) < FAILED_KEPT_DAYS * 24 || isNewestAttempt))
      expected.add(backup.id);
  }
  const manual = good.filter(({ method }) => method === "manual");
  while (manual.length > retention.manualCount) manual.shift();
  for (const { id } of manual) expected.add(id);
  for (const id of promisedNights(good, retention, now)) expected.add(id);
  return expected.intersection(all);
}

function promisedNights(good: readonly KnownBackup[], retention: Retention, now: Date): string[] {
  const byNight = new Map(good.flatMap((backup) => (backup.night === null ? [] : [[String(backup.night), backup.id]])));
  const today = Temporal.Instant.fromEpochMilliseconds(now.getTime()).toZonedDateTimeISO("UTC").toPlainDate();
  const newest = byNight.has(today.toString()) ? today : today.subtract({ days: 1 });
  const sunday = newest.subtract({ days: newest.dayOfWeek % 7 });
  const firstIn = (from: Temporal.PlainDate, until: Temporal.PlainDate): string[] => {
    for (let day = from; Temporal.PlainDate.compare(day, until) < 0; day = day.add({ days: 1 })) {
      const id = byNight.get(day.toString());
      if (id !== undefined) return [id];
    }
    return [];
  };
  const ids: string[] = [];
  for (let back = 0; back < retention.dailyCount; back++) {
    const day = newest.subtract({ days: back });
    ids.push(...firstIn(day, day.add({ days: 1 })));
  }
  for (let back = 0; back < retention.weeklyCount; back++) {
    const day = sunday.subtract({ weeks: back });
    ids.push(...firstIn(day, day.add({ weeks: 1 })));
  }
  for (let back = 0; back < retention.monthlyCount; back++) {
    const month = sunday.with({ day: 1 }).subtract({ months: back });
    ids.push(...firstIn(firstSundayOf(month), firstSundayOf(month.add({ months: 1 }))));
  }
  return ids;
}

function firstSundayOf(month: Temporal.PlainDate): Temporal.PlainDate {
  return month.add({ days: (7 - (month.dayOfWeek % 7)) % 7 });
}

function retentionOf(serviceClass: "starter" | "business"): Retention {
  const plan = planCatalogue().find(`postgresql-${serviceClass}-512`);
  assert.ok(plan !== undefined);
  return plan.retention;
}

/** Repeatable numbers from 0 to below 1 (mulberry32), so that a failure names its life. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
