import { hash } from "node:crypto";
import { addDays, startOfDay, type UtcDay, utcDayOf } from "./utc-day.ts";

const HOUR_MS = 3600_000;

/** Unless its user says otherwise, a database is backed up in the hour from midnight, UTC, every day of the year. */
export const DEFAULT_HOUR_UTC = 0;

/**
 * A database's daily backup. A night is the UTC day on which a run begins by plan; a run that is late, even past midnight, is still its night's.
 */
export interface BackupSchedule {
  readonly addonId: string;
  readonly isEnabled: boolean;
  /** 0 to 23. A run begins inside this hour, not at its beginning. */
  readonly hourUtc: number;
  /** The newest night that is settled: it had its run, or it passed before this schedule was asked for. */
  readonly lastNight: UtcDay;
}

export interface PlannedRun {
  readonly night: UtcDay;
  /** When it begins unless something is in its way. */
  readonly at: Date;
  /** Its time has come, and it hasn't begun. */
  readonly isDue: boolean;
}

/** The schedule of a database that is made now: its first run is on the next day, when there is something to back up. */
export function newSchedule(addonId: string, now: Date): BackupSchedule {
  return { addonId, hourUtc: DEFAULT_HOUR_UTC, isEnabled: true, lastNight: utcDayOf(now) };
}

/**
 * The night whose run is to begin now; undefined when none is. Of several that were missed only the newest is made good. Give the schedule back with it
 * as `lastNight` in the step that begins the run, and no night has two.
 */
export function dueNight(schedule: BackupSchedule, now: Date): UtcDay | undefined {
  if (!schedule.isEnabled) return undefined;
  const night = newestNight(schedule, now);
  return night > schedule.lastNight ? night : undefined;
}

/**
 * The next runs in order, first a due one that waits; none while the schedule is off.
 *
 * @param count how many, from 0.
 */
export function nextRuns(schedule: BackupSchedule, { count }: { count: number }, now: Date): PlannedRun[] {
  if (!schedule.isEnabled) return [];
  const due = dueNight(schedule, now);
  const first = due ?? addDays(schedule.lastNight, 1);
  return Array.from({ length: count }, (_, index) => {
    const night = addDays(first, index);
    return { night, at: runTime(schedule, night), isDue: night === due };
  });
}

/**
 * The schedule after its user's change. The next run is at the next turn of the new hour, on a night that has had none: a change never starts a run,
 * and never gives a night a second one. A run that was missed before the change is still made good, once.
 */
export function changeSchedule(
  schedule: BackupSchedule,
  change: { readonly isEnabled?: boolean; readonly hourUtc?: number },
  now: Date,
): BackupSchedule {
  const changed = { ...schedule, ...change };
  if (!changed.isEnabled) return changed;
  const missed = dueNight(schedule, now);
  // Set back by one night: under a later hour its turn is still to come, under any other it stays due.
  if (missed !== undefined) return { ...changed, lastNight: addDays(missed, -1) };
  const passed = newestNight(changed, now);
  return { ...changed, lastNight: passed > schedule.lastNight ? passed : schedule.lastNight };
}

/** The first run of this schedule at or after the instant, whatever nights are settled. */
export function firstRunAfter(schedule: Pick<BackupSchedule, "addonId" | "hourUtc">, from: Date): Date {
  const today = utcDayOf(from);
  const run = runTime(schedule, today);
  return run >= from ? run : runTime(schedule, addDays(today, 1));
}

/** The newest night whose time has come. */
function newestNight(schedule: Pick<BackupSchedule, "addonId" | "hourUtc">, now: Date): UtcDay {
  const today = utcDayOf(now);
  return runTime(schedule, today) <= now ? today : addDays(today, -1);
}

/** Spread over the hour by the database's id, so that many databases don't begin at once and each has a time of its own. */
function runTime({ addonId, hourUtc }: Pick<BackupSchedule, "addonId" | "hourUtc">, night: UtcDay): Date {
  // Not the digits by which base backups are spread.
  const share = Number.parseInt(hash("sha256", addonId, "hex").slice(8, 16), 16) / 2 ** 32;
  return new Date(startOfDay(night).getTime() + (hourUtc + share) * HOUR_MS);
}
