import type { Lsn } from "../core/lsn.ts";
import { nextBaseBackup } from "./base-backup-schedule.ts";
import { type BackupSchedule, firstRunAfter } from "./backup-schedule.ts";
import type { BackupPlan } from "./plans.ts";
import { addDays, startOfDay, type UtcDay, utcDayOf } from "./utc-day.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** However patient a plan is, these ages of the newest restorable moment are never fine. */
const DELAYED_AFTER_MAX_MS = 12 * HOUR_MS;
const STALE_AFTER_MAX_MS = 24 * HOUR_MS;
/** A state is left when the lag is down to this share of what it was entered at: a lag about a threshold tells nobody anything twice. */
const RECOVERED_SHARE = 0.5;
/** What a daily backup may take, with a full queue before it and another try behind it, until its absence is an alarm. */
const PERIODIC_GRACE_MS = 4 * HOUR_MS;
/** A base backup of a large database takes hours, and waits for the one before it. */
const BASE_BACKUP_GRACE_MS = DAY_MS;
/** A new database's first base backup begins within seconds, and the database is small. */
const FIRST_BASE_BACKUP_GRACE_MS = HOUR_MS;
/** What a slot says of log that the server has begun to remove. */
const LOSING_WAL_STATUSES = new Set(["unreserved", "lost"]);

export type ContinuousState = "healthy" | "delayed" | "stale";

/** What is known of a database's continuous backups. */
export interface ContinuousFacts {
  /** As the last check left it. */
  readonly state: ContinuousState;
  /** Nothing can be restorable from before. */
  readonly provisionedAt: Date;
  /** False while its server is known not to run: then it writes nothing that could be missing. */
  readonly isRunning: boolean;
  /** The newest restorable moment; null while there is none. Before a hole that no base backup has closed yet. */
  readonly latestRecoverableAt: Date | null;
  /** All log before it is stored; null before the first piece. */
  readonly storedLsn: Lsn | null;
  /** What the server itself said last; null when it was never asked, or not for a while. */
  readonly server: {
    readonly lsn: Lsn;
    readonly askedAt: Date;
    /** `pg_replication_slots.wal_status`; null without a slot. */
    readonly walStatus: string | null;
  } | null;
}

export interface ContinuousVerdict {
  readonly state: ContinuousState;
  /** How old the newest restorable moment is, at most; null while the server doesn't run, and so writes nothing. */
  readonly lagMs: number | null;
  /** Log that the server has and the repository hasn't; null when either isn't known. */
  readonly lagBytes: bigint | null;
}

/**
 * Whether continuous backups keep up. It gets worse as soon as the lag passes a limit of the plan, and better only when the lag is well below the first one,
 * so that each change is worth telling. A server that doesn't run changes nothing.
 */
export function judgeContinuous(facts: ContinuousFacts, limits: BackupPlan["alerts"], now: Date): ContinuousVerdict {
  const lagBytes = missingBytes(facts);
  if (!facts.isRunning) return { state: facts.state, lagMs: null, lagBytes };
  const lagMs = Math.max(0, now.getTime() - coveredUntil(facts, lagBytes).getTime());
  const delayedAfterMs = Math.min(limits.delayedAfterMinutes * MINUTE_MS, DELAYED_AFTER_MAX_MS);
  const staleAfterMs = Math.min(limits.staleAfterMinutes * MINUTE_MS, STALE_AFTER_MAX_MS);
  const isLosing = LOSING_WAL_STATUSES.has(facts.server?.walStatus ?? "");
  if (lagMs > staleAfterMs) return { state: "stale", lagMs, lagBytes };
  const isLate = lagMs > delayedAfterMs || isLosing;
  if (isLate && facts.state === "healthy") return { state: "delayed", lagMs, lagBytes };
  const isRecovered = !isLosing && lagMs <= delayedAfterMs * RECOVERED_SHARE;
  return { state: isRecovered ? "healthy" : facts.state, lagMs, lagBytes };
}

function missingBytes({ storedLsn, server }: ContinuousFacts): bigint | null {
  if (storedLsn === null || server === null) return null;
  return server.lsn > storedLsn ? server.lsn - storedLsn : 0n;
}

/** Every commit before it can be restored. */
function coveredUntil({ latestRecoverableAt, provisionedAt, server }: ContinuousFacts, lagBytes: bigint | null): Date {
  if (latestRecoverableAt === null) return provisionedAt;
  // All that the server had when it was asked is stored, whatever the age of the last commit.
  const askedAt = lagBytes === 0n ? server?.askedAt : undefined;
  return askedAt !== undefined && askedAt > latestRecoverableAt ? askedAt : latestRecoverableAt;
}

export interface PeriodicFacts {
  readonly schedule: BackupSchedule;
  readonly provisionedAt: Date;
  /** When its user last changed the schedule; null for never. */
  readonly changedAt: Date | null;
  /** The night of the newest good daily backup; null while there is none. */
  readonly lastGoodNight: UtcDay | null;
}

/**
 * When a good daily backup must be there, counted from the last one: an alarm is due from then on. It looks at what is there, never at what the job that
 * should have run says of itself. Null while the schedule is off.
 */
export function periodicDeadline({ schedule, provisionedAt, changedAt, lastGoodNight }: PeriodicFacts): Date | null {
  if (!schedule.isEnabled) return null;
  // The first run is on the day after the database was made.
  const first = startOfDay(addDays(utcDayOf(provisionedAt), 1));
  const nightAfter = lastGoodNight === null ? first : startOfDay(addDays(lastGoodNight, 1));
  const from = new Date(Math.max(first.getTime(), nightAfter.getTime(), changedAt?.getTime() ?? 0));
  return new Date(firstRunAfter(schedule, from).getTime() + PERIODIC_GRACE_MS);
}

/** As `periodicDeadline`, for base backups. */
export function baseBackupDeadline(facts: {
  readonly addonId: string;
  readonly provisionedAt: Date;
  /** When the newest good one began; null while there is none. */
  readonly lastStartedAt: Date | null;
}): Date {
  const { addonId, provisionedAt, lastStartedAt } = facts;
  if (lastStartedAt === null) return new Date(provisionedAt.getTime() + FIRST_BASE_BACKUP_GRACE_MS);
  const { at } = nextBaseBackup({ addonId, lastStartedAt, brokenBecause: null }, lastStartedAt);
  return new Date(at.getTime() + BASE_BACKUP_GRACE_MS);
}

/** Why a database doesn't count as restorable, or needs a look. The order is that of urgency. */
export type HealthProblem =
  | "nothing_restorable"
  | "not_restorable_to_now"
  | "stale"
  | "last_backup_failed"
  | "backup_overdue"
  | "base_backup_overdue"
  | "server_stopped"
  | "delayed";

/** With these, a database is restorable as its plan promises; somebody should look all the same. */
const WARNINGS: ReadonlySet<HealthProblem> = new Set(["server_stopped", "delayed"]);

export interface RestorabilityFacts {
  readonly state: ContinuousState;
  readonly isRunning: boolean;
  /** Whether any moment can be restored. */
  readonly hasWindow: boolean;
  /** Log was lost, and no base backup has closed the hole yet. */
  readonly hasOpenHole: boolean;
  /** The newest logical backup that has ended, cancelled ones aside, failed. */
  readonly lastBackupFailed: boolean;
  readonly isPeriodicOverdue: boolean;
  readonly isBaseBackupOverdue: boolean;
}

/** All that is wrong, the most urgent first; empty when nothing is. */
export function findProblems(facts: RestorabilityFacts): HealthProblem[] {
  const found: readonly (readonly [boolean, HealthProblem])[] = [
    [!facts.hasWindow, "nothing_restorable"],
    [facts.hasOpenHole, "not_restorable_to_now"],
    [facts.state === "stale", "stale"],
    [facts.lastBackupFailed, "last_backup_failed"],
    [facts.isPeriodicOverdue, "backup_overdue"],
    [facts.isBaseBackupOverdue, "base_backup_overdue"],
    [!facts.isRunning, "server_stopped"],
    [facts.state === "delayed", "delayed"],
  ];
  return found.flatMap(([isSo, problem]) => (isSo ? [problem] : []));
}

/** Whether a database is backed up as its plan promises: no problem but warnings. */
export function isRestorable(problems: readonly HealthProblem[]): boolean {
  return problems.every((problem) => WARNINGS.has(problem));
}
