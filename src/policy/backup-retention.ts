import type { BackupPlan } from "./plans.ts";
import { dayNumber, dayOfNumber, startOfDay, sundayBefore, type UtcDay, utcDayOf } from "./utc-day.ts";

const DAY_MS = 24 * 3600_000;
/** A failure is of interest until it has been looked into; a month is as long as anybody looks back. */
export const FAILED_KEPT_DAYS = 31;
/** A schedule whose newest good backup is older than two nights is not working, whatever the reason. */
const SILENCE_MAX_DAYS = 2;
/** A database that was deleted by mistake is missed within a month: so long its newest good backup stays, even where the plan keeps nothing else. */
export const LAST_COPY_AFTER_REMOVAL_DAYS = 31;

export interface KnownBackup {
  /** Ids grow with time of creation. */
  readonly id: string;
  readonly method: "periodic" | "manual";
  /** `open`: not ended yet. One that somebody cancelled says nothing about whether backups work. */
  readonly state: "open" | "done" | "failed" | "cancelled";
  readonly createdAt: Date;
  /** The night that a periodic one is of; null for manual ones. */
  readonly night: UtcDay | null;
}

export interface BackupRetentionFacts {
  readonly retention: BackupPlan["retention"];
  /** Whether the daily schedule is on. */
  readonly isScheduled: boolean;
  /** Whether the newest base backup found pages whose checksum was wrong: what is dumped since may be damaged as well. */
  readonly hasDamagedPages: boolean;
  /** When the database was deleted; null while it exists. */
  readonly removedAt: Date | null;
  readonly backups: readonly KnownBackup[];
}

export interface BackupVerdict {
  readonly id: string;
  readonly isKept: boolean;
  /** Not removed before this instant; null where no date is set, and where it goes. */
  readonly keptUntil: Date | null;
  /** For people: why it is kept, or why it goes. */
  readonly reason: string;
}

/** One rule that keeps a backup. */
interface Claim {
  readonly until: Date;
  readonly reason: string;
}

/** What the rules compare with, found once for all backups. */
interface Context {
  readonly facts: BackupRetentionFacts;
  readonly now: Date;
  /** Day number of the newest night that counts as one of the last: today's once its backup is there, yesterday's before. */
  readonly newestNight: number;
  /** First good periodic backup of each week, by its Sunday. */
  readonly weeklies: ReadonlySet<KnownBackup>;
  /** First good periodic backup of each month, which begins with its first Sunday. */
  readonly monthlies: ReadonlySet<KnownBackup>;
  readonly newestManuals: ReadonlySet<KnownBackup>;
  readonly lastGood: KnownBackup | undefined;
  readonly newestAttempt: KnownBackup | undefined;
  /** Why nothing may go; undefined when things may. */
  readonly frozen: string | undefined;
}

/**
 * Which logical backups a database's plan keeps, and why.
 *
 * - Periodic: one for each of the last days, weeks and months. A week's is its Sunday's and a month's its first Sunday's; where that night has no good one, the
 *   next good one of the week or month stands in.
 * - Manual: the newest so many, whatever their age.
 * - While the database exists its newest good backup is kept, and every good one while backups fail: when the newest attempt failed, when the schedule is on and
 *   nothing good is newer than two days, or when the database's own pages are damaged.
 * - After its deletion periodic ones go on to expire, manual ones so long after their creation as the plan says; the newest good one stays a month from then in any case.
 * - Failed and cancelled ones have no bytes; they are kept for a month, and the newest attempt for as long as it is that.
 *
 * @returns one verdict for each backup, in the given order.
 */
export function planBackupRetention(facts: BackupRetentionFacts, now: Date): BackupVerdict[] {
  const context = readContext(facts, now);
  return facts.backups.map((backup) => ({ id: backup.id, ...judge(backup, context) }));
}

function judge(backup: KnownBackup, context: Context): Omit<BackupVerdict, "id"> {
  if (backup.state === "open") return kept("It has not ended yet");
  if (backup.state !== "done") return judgeWithoutBytes(backup, context);
  const { facts, lastGood, now } = context;
  const claims = backup.method === "manual" ? manualClaims(backup, context) : periodicClaims(backup, context);
  if (claims === "rolling") return kept(`One of the newest ${facts.retention.manualCount} manual backups`);
  if (claims.length > 0) {
    const untilMs = Math.max(...claims.map(({ until }) => until.getTime()));
    return kept(claims.map(({ reason }) => reason).join(", "), new Date(untilMs));
  }
  if (backup === lastGood) {
    if (facts.removedAt === null) return kept("It is the newest good backup");
    const until = addDaysTo(facts.removedAt, LAST_COPY_AFTER_REMOVAL_DAYS);
    if (now < until) return kept("It is the last good copy of a deleted database", until);
  }
  if (context.frozen !== undefined) return kept(context.frozen);
  return { isKept: false, keptUntil: null, reason: goingReason(backup, context) };
}

function kept(reason: string, keptUntil: Date | null = null): Omit<BackupVerdict, "id"> {
  return { isKept: true, keptUntil, reason };
}

function judgeWithoutBytes(backup: KnownBackup, { facts, newestAttempt, now }: Context): Omit<BackupVerdict, "id"> {
  const what = backup.state === "failed" ? "It failed" : "It was cancelled";
  const until = addDaysTo(backup.createdAt, FAILED_KEPT_DAYS);
  if (now < until) return kept(`${what}: the record stays ${FAILED_KEPT_DAYS} days`, until);
  if (backup === newestAttempt && facts.removedAt === null) return kept(`${what}, and nothing was tried since`);
  return { isKept: false, keptUntil: null, reason: `${what} more than ${FAILED_KEPT_DAYS} days ago` };
}

function manualClaims(backup: KnownBackup, { facts, newestManuals, now }: Context): readonly Claim[] | "rolling" {
  if (!newestManuals.has(backup)) return [];
  if (facts.removedAt === null) return "rolling";
  const days = facts.retention.manualAfterDeletionDays;
  const until = addDaysTo(backup.createdAt, days);
  return now < until ? [{ until, reason: `Manual, ${days} days from its creation` }] : [];
}

function periodicClaims(backup: KnownBackup, context: Context): Claim[] {
  const { dailyCount, weeklyCount, monthlyCount } = context.facts.retention;
  const night = nightOf(backup);
  const week = sundayBefore(night);
  const claims: Claim[] = [];
  if (context.newestNight - night < dailyCount) claims.push(claim("Daily", night + dailyCount));
  if (context.weeklies.has(backup) && sundayBefore(context.newestNight) - week < 7 * weeklyCount)
    claims.push(claim("Weekly", week + 7 * weeklyCount));
  const age = monthOf(sundayBefore(context.newestNight)) - monthOf(week);
  if (context.monthlies.has(backup) && age < monthlyCount)
    claims.push(claim("Monthly", firstSunday(monthOf(week) + monthlyCount)));
  return claims;
}

function claim(reason: string, untilDay: number): Claim {
  return { reason, until: startOfDay(dayOfNumber(untilDay)) };
}

function goingReason(backup: KnownBackup, { facts, newestManuals }: Context): string {
  const { dailyCount, weeklyCount, monthlyCount, manualCount, manualAfterDeletionDays } = facts.retention;
  if (backup.method === "periodic")
    return `Older than the ${dailyCount} daily, ${weeklyCount} weekly and ${monthlyCount} monthly ones that the plan keeps`;
  if (!newestManuals.has(backup)) return `${manualCount} newer manual backups are there`;
  return `The database was deleted, and ${manualAfterDeletionDays} days have passed since the backup's creation`;
}

function readContext(facts: BackupRetentionFacts, now: Date): Context {
  const oldestFirst = facts.backups.toSorted(
    (a, b) => a.createdAt.getTime() - b.createdAt.getTime() || compareIds(a, b),
  );
  const good = oldestFirst.filter(({ state }) => state === "done");
  const periodic = good.filter(({ method }) => method === "periodic").toSorted((a, b) => nightOf(a) - nightOf(b));
  const manual = good.filter(({ method }) => method === "manual");
  const attempts = oldestFirst.filter(({ state }) => state === "done" || state === "failed");
  const lastGood = good.at(-1);
  const newestAttempt = attempts.at(-1);
  const today = dayNumber(utcDayOf(now));
  const lastNight = periodic.at(-1);
  const hasTonight = lastNight !== undefined && nightOf(lastNight) >= today;
  return {
    facts,
    now,
    newestNight: hasTonight ? today : today - 1,
    weeklies: firstOfEach(periodic, (backup) => sundayBefore(nightOf(backup))),
    monthlies: firstOfEach(periodic, (backup) => monthOf(sundayBefore(nightOf(backup)))),
    newestManuals: new Set(manual.toReversed().slice(0, facts.retention.manualCount)),
    lastGood,
    newestAttempt,
    frozen: facts.removedAt === null ? freezeReason({ facts, lastGood, newestAttempt }, now) : undefined,
  };
}

function freezeReason(
  { facts, lastGood, newestAttempt }: Pick<Context, "facts" | "lastGood" | "newestAttempt">,
  now: Date,
): string | undefined {
  if (newestAttempt?.state === "failed") return "The newest backup failed: nothing goes until one succeeds";
  if (facts.hasDamagedPages) return "Page checksums of the database are wrong: nothing goes until they are right";
  const isSilent = lastGood !== undefined && addDaysTo(lastGood.createdAt, SILENCE_MAX_DAYS) < now;
  return facts.isScheduled && isSilent ? "Scheduled backups are missing: nothing goes until one succeeds" : undefined;
}

/** The first of each group; `backups` in order. */
function firstOfEach(backups: readonly KnownBackup[], group: (backup: KnownBackup) => number): Set<KnownBackup> {
  const firsts = new Map<number, KnownBackup>();
  for (const backup of backups) if (!firsts.has(group(backup))) firsts.set(group(backup), backup);
  return new Set(firsts.values());
}

function nightOf({ night, createdAt }: KnownBackup): number {
  return dayNumber(night ?? utcDayOf(createdAt));
}

/** Months since 1970-01 of a Sunday: a month's weeks are those that begin in it. */
function monthOf(sunday: number): number {
  const date = startOfDay(dayOfNumber(sunday));
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** Day number of the month's first Sunday. */
function firstSunday(month: number): number {
  const seventh = dayNumber(utcDayOf(new Date(Date.UTC(1970, month, 7))));
  return sundayBefore(seventh);
}

function addDaysTo(instant: Date, days: number): Date {
  return new Date(instant.getTime() + days * DAY_MS);
}

function compareIds(a: KnownBackup, b: KnownBackup): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
