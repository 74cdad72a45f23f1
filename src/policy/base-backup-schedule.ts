import { createHash } from "node:crypto";

const HOUR_MS = 3600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
/** A base backup that was taken out of turn (after a gap, say) makes the next regular one unneeded when that is nearer than this. */
const SPACING_MIN_MS = 24 * HOUR_MS;

export interface BaseBackupFacts {
  readonly addonId: string;
  /** When the newest committed base backup of the current lineage began; null while there is none. */
  readonly lastStartedAt: Date | null;
  /** Why the chain can't go on from that one: WAL was lost, the server has another history. Null while it can. */
  readonly brokenBecause: string | null;
}

export interface BaseBackupDecision {
  /** In the past when it is due. */
  readonly at: Date;
  /** For people. */
  readonly reason: string;
}

/**
 * When a database's next base backup is to begin: at once while there is none or the chain is broken, else once a week, at an hour of the week that follows from the
 * database's id, so that many databases spread over it.
 */
export function nextBaseBackup(facts: BaseBackupFacts, now: Date): BaseBackupDecision {
  if (facts.lastStartedAt === null) return { at: now, reason: "There is no base backup yet" };
  if (facts.brokenBecause !== null) return { at: now, reason: facts.brokenBecause };
  const earliestMs = facts.lastStartedAt.getTime() + SPACING_MIN_MS;
  return { at: new Date(nextTurnMs(facts.addonId, earliestMs)), reason: "A week has gone by" };
}

/** The first of the database's weekly turns at or after the instant. */
function nextTurnMs(addonId: string, earliestMs: number): number {
  const digest = createHash("sha256").update(addonId).digest();
  const offsetMs = Math.floor((digest.readUInt32BE(0) / 2 ** 32) * WEEK_MS);
  return offsetMs + Math.ceil((earliestMs - offsetMs) / WEEK_MS) * WEEK_MS;
}
