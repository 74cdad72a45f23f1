import type { Lsn } from "../core/lsn.ts";
import { basesOfBranches, type KnownBranch } from "./branch-bases.ts";

const DAY_MS = 24 * 3600_000;

export interface KnownBaseBackup {
  readonly id: string;
  readonly lineage: string;
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  /** When its last page was read: no moment before it can be restored from it. */
  readonly finishedAt: Date;
  /** Whether all WAL from its start to its stop is stored. */
  readonly isRestorable: boolean;
}

export interface KnownLineage {
  readonly id: string;
  /** When another lineage took its place; null for the one that is streamed into. */
  readonly endedAt: Date | null;
}

export interface ContinuousRetentionFacts {
  readonly recoveryWindowDays: number;
  readonly baseBackups: readonly KnownBaseBackup[];
  readonly lineages: readonly KnownLineage[];
  readonly branches: readonly KnownBranch[];
}

export interface BaseBackupVerdict {
  readonly id: string;
  readonly isKept: boolean;
  /** For people: why it is kept, or why it goes. */
  readonly reason: string;
}

export interface ContinuousRetentionPlan {
  /** One for each base backup, in the given order. */
  readonly verdicts: readonly BaseBackupVerdict[];
  /** For each lineage: WAL that ends at or before this position can go, `all` where no base backup is kept, `none` while nothing may go. */
  readonly walFloors: ReadonlyMap<string, Lsn | "all" | "none">;
}

/**
 * What the recovery window no longer needs. A base backup is kept while it lies in the window, and the newest one before the window stays as the way to its first
 * moment; a lineage that ended before the window goes as a whole. The newest restorable base backup of all is never removed, however old, and neither is any WAL from
 * the oldest kept one on.
 */
export function planContinuousRetention(facts: ContinuousRetentionFacts, now: Date): ContinuousRetentionPlan {
  const windowStart = new Date(now.getTime() - facts.recoveryWindowDays * DAY_MS);
  const last = newest(facts.baseBackups.filter(({ isRestorable }) => isRestorable));
  const anchors = new Map(facts.lineages.map(({ id }) => [id, anchorOf(facts.baseBackups, id, windowStart)]));
  const ofBranches = basesOfBranches({ branches: facts.branches, bases: facts.baseBackups }, windowStart);
  const ends = new Map(facts.lineages.map(({ id, endedAt }) => [id, endedAt]));
  const verdicts = facts.baseBackups.map((backup) =>
    judge(backup, {
      windowStart,
      last,
      anchor: anchors.get(backup.lineage),
      lineageEnd: ends.get(backup.lineage) ?? null,
      isOfBranch: ofBranches.has(backup.id),
    }),
  );
  const kept = facts.baseBackups.filter((_, index) => verdicts[index]?.isKept === true);
  return {
    verdicts,
    walFloors: new Map(facts.lineages.map((lineage) => [lineage.id, floorOf(lineage, kept, windowStart)])),
  };
}

function judge(
  backup: KnownBaseBackup,
  context: {
    windowStart: Date;
    last: KnownBaseBackup | undefined;
    anchor: KnownBaseBackup | undefined;
    lineageEnd: Date | null;
    isOfBranch: boolean;
  },
): BaseBackupVerdict {
  const { windowStart, last, anchor, lineageEnd, isOfBranch } = context;
  const verdict = (isKept: boolean, reason: string): BaseBackupVerdict => ({ id: backup.id, isKept, reason });
  if (backup.id === last?.id) return verdict(true, "It is the newest restorable base backup");
  if (last === undefined) return verdict(true, "No base backup is restorable, so none is removed");
  if (lineageEnd !== null && lineageEnd <= windowStart)
    return verdict(false, "Its history ended before the recovery window");
  if (backup.finishedAt > windowStart) return verdict(true, "It lies in the recovery window");
  if (anchor === undefined || backup.id === anchor.id)
    return verdict(true, "The window's first moments are restored from it");
  if (isOfBranch) return verdict(true, "The first moments of a restored branch are restored from it");
  return verdict(false, `The recovery window begins after ${anchor.id}, which is newer`);
}

/** The newest restorable base backup of the lineage that had finished when the window began. */
function anchorOf(all: readonly KnownBaseBackup[], lineage: string, windowStart: Date): KnownBaseBackup | undefined {
  return newest(
    all.filter((backup) => backup.lineage === lineage && backup.isRestorable && backup.finishedAt <= windowStart),
  );
}

function floorOf(lineage: KnownLineage, kept: readonly KnownBaseBackup[], windowStart: Date): Lsn | "all" | "none" {
  const starts = kept.filter((backup) => backup.lineage === lineage.id).map(({ startLsn }) => startLsn);
  const [first, ...others] = starts;
  if (first !== undefined) return others.reduce((lowest, lsn) => (lsn < lowest ? lsn : lowest), first);
  // Without a base backup its WAL is of no use, but the one streamed into waits for its first.
  return lineage.endedAt !== null && lineage.endedAt <= windowStart ? "all" : "none";
}

function newest(backups: readonly KnownBaseBackup[]): KnownBaseBackup | undefined {
  return backups.toSorted((a, b) => b.finishedAt.getTime() - a.finishedAt.getTime())[0];
}
