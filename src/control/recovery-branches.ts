import { type Kysely, sql } from "kysely";
import type { AddonId } from "../core/ids.ts";
import { type Lsn, parseLsn } from "../core/lsn.ts";
import type { PreciseInstant, RecoveryBranch } from "./model.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

interface LiveStream {
  readonly lineage: string | null;
  readonly timeline: number | null;
  readonly latest: PreciseInstant | null;
}

/**
 * The histories of a database, newest first: each lineage, and in it each timeline that restores in place have made. A branch is restorable from the end of its
 * oldest base backup on, which may lie on a timeline that it came from; one without is not restorable at all.
 */
export async function readBranches(db: Db, addonId: AddonId, live: LiveStream): Promise<readonly RecoveryBranch[]> {
  const lineages = await db
    .selectFrom("lineages")
    .select(["id", precise("last_recoverable_at").as("last")])
    .where("addon_id", "=", addonId)
    .orderBy("id", "desc")
    .execute();
  const bases = await readBases(db, addonId);
  const timelines = await readTimelines(db, addonId);
  return lineages.flatMap(({ id, last }) => {
    const ownBases = bases.filter((base) => base.lineage === id);
    const ownTimelines = timelines.filter(({ lineage }) => lineage === id);
    const isLiveLineage = id === live.lineage;
    if (ownTimelines.length === 0) {
      const timeline = isLiveLineage ? live.timeline : null;
      return [
        branchOf({ id, timeline, isLive: isLiveLineage, bases: ownBases, latest: isLiveLineage ? live.latest : last }),
      ];
    }
    return ownTimelines.map(({ timeline, state, latest }) => {
      const isLive = isLiveLineage && state === "live";
      const onBranch = ownBases.filter((base) => isAncestry(ownTimelines, timeline, base));
      return branchOf({ id, timeline, isLive, bases: onBranch, latest: isLive ? live.latest : (latest ?? last) });
    });
  });
}

interface KnownBase {
  readonly lineage: string;
  readonly timeline: number;
  readonly stop: Lsn;
  readonly finishedAt: PreciseInstant | null;
}

async function readBases(db: Db, addonId: AddonId): Promise<readonly KnownBase[]> {
  const rows = await db
    .selectFrom("base_backups")
    .select(["lineage", "timeline", "stop_lsn", precise("finished_at").as("finishedAt")])
    .where("addon_id", "=", addonId)
    .execute();
  return rows.map(({ lineage, timeline, stop_lsn: stop, finishedAt }) => ({
    lineage,
    timeline,
    stop: parseLsn(stop),
    finishedAt,
  }));
}

type KnownTimeline = Awaited<ReturnType<typeof readTimelines>>[number];

/** Those that were a database's, newest first. */
async function readTimelines(db: Db, addonId: AddonId) {
  return await db
    .selectFrom("timelines")
    .select(["lineage", "timeline", "parent", "switch_lsn", "state", precise("last_recoverable_at").as("latest")])
    .where("addon_id", "=", addonId)
    .where("state", "!=", "given_out")
    .orderBy("timeline", "desc")
    .execute();
}

/** Whether what the backup holds is part of the timeline's past. A backup of a timeline that nobody gave out is of a cluster's first. */
function isAncestry(timelines: readonly KnownTimeline[], timeline: number, base: KnownBase): boolean {
  if (base.timeline === timeline) return true;
  const known = timelines.find((each) => each.timeline === timeline);
  if (known === undefined || known.parent === null || known.switch_lsn === null) return false;
  if (base.timeline === known.parent && base.stop > parseLsn(known.switch_lsn)) return false;
  return isAncestry(timelines, known.parent, base);
}

function branchOf(facts: {
  readonly id: string;
  readonly timeline: number | null;
  readonly isLive: boolean;
  readonly bases: readonly KnownBase[];
  readonly latest: PreciseInstant | null;
}): RecoveryBranch {
  const { id, timeline, isLive, bases, latest } = facts;
  const earliest = bases.flatMap(({ finishedAt }) => finishedAt ?? []).toSorted()[0] ?? null;
  // Texts of one form compare as their instants. Until the log has passed the end of the base backup there is no window.
  const isOpen = earliest !== null && latest !== null && latest >= earliest;
  return {
    id,
    timeline,
    isLive,
    earliestRecoverableAt: isOpen ? earliest : null,
    latestRecoverableAt: isOpen ? latest : null,
  };
}

/** A moment with all its digits. `expression` is SQL of ours, never a user's. Rounded down by nothing: the column has microseconds. */
export function precise(expression: string) {
  return sql<PreciseInstant | null>`to_char(${sql.raw(expression)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}
