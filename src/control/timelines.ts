import { type Kysely, sql } from "kysely";
import type { KnownBranch } from "../capture/wal/identify-server.ts";
import { isObjectId, type AddonId } from "../core/ids.ts";
import { formatLsn, parseLsn, type TimelineId, toTimelineId } from "../core/lsn.ts";
import { formatTimestamp, type TimestampUs } from "../core/timestamp.ts";
import type { KnownBranch as BranchMade } from "../policy/branch-bases.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** Branches of the database's history that were made by restores: those that a receiver of its log may meet. */
export async function readKnownBranches(db: Db, addonId: AddonId): Promise<readonly KnownBranch[]> {
  const rows = await db.selectFrom("timelines").selectAll().where("addon_id", "=", addonId).execute();
  return rows.flatMap(({ lineage, timeline, parent, switch_lsn: at }) =>
    lineage === null || !isObjectId(lineage) || parent === null || at === null
      ? []
      : [{ lineage, timeline: toTimelineId(timeline), parent: toTimelineId(parent), at: parseLsn(at) }],
  );
}

/** Those that became a database's, as retention looks at them. */
export async function readBranchesMade(db: Db, addonId: AddonId): Promise<readonly BranchMade[]> {
  const rows = await db
    .selectFrom("timelines")
    .selectAll()
    .where("addon_id", "=", addonId)
    .where("state", "!=", "given_out")
    .execute();
  return rows.flatMap(({ lineage, timeline, parent, switch_lsn: at, live_until: leftAt }) =>
    lineage === null || parent === null || at === null ? [] : [{ lineage, timeline, parent, at: parseLsn(at), leftAt }],
  );
}

/**
 * Gives out the id of a new timeline: above every one that is known of, and never twice, so that two branches never collide, whatever became of a copy.
 *
 * @param newest the highest that the repository knows
 */
export async function giveOutTimeline(
  db: Db,
  { addonId, newest }: { addonId: AddonId; newest: TimelineId },
): Promise<TimelineId> {
  const { rows } = await sql<{ timeline: number }>`insert into timelines (addon_id, timeline, state)
    select ${addonId}, 1 + greatest(${newest}::bigint, coalesce(max(timeline), 0)), 'given_out' from timelines
    where addon_id = ${addonId}
    returning timeline`.execute(db);
  return toTimelineId(rows[0]?.timeline ?? newest + 1);
}

/** Notes where a copy branched off, before its server can meet any receiver. */
export async function noteBranch(
  db: Db,
  { addonId, ...branch }: KnownBranch & { readonly addonId: AddonId },
): Promise<void> {
  await db
    .updateTable("timelines")
    .set({ lineage: branch.lineage, parent: branch.parent, switch_lsn: formatLsn(branch.at) })
    .where("addon_id", "=", addonId)
    .where("timeline", "=", branch.timeline)
    .execute();
}

/**
 * Notes that a copy took the database's place: its timeline is the live one from now on, the one before was left.
 *
 * @param left the timeline that was live, as far as it is known
 */
export async function noteTakeOver(
  db: Db,
  { addonId, timeline, left }: { addonId: AddonId; timeline: number; left: number | null },
): Promise<void> {
  const latest = sql<Date | null>`(select latest_recoverable_at from wal_streams where addon_id = ${addonId})`;
  if (left !== null) {
    // A cluster's first timeline was given out by nobody.
    await sql`insert into timelines (addon_id, timeline, lineage, state)
      select addon_id, ${left}::bigint, lineage, 'live' from wal_streams where addon_id = ${addonId}
      on conflict (addon_id, timeline) do nothing`.execute(db);
  }
  await db
    .updateTable("timelines")
    .set({ state: "left", live_until: sql<Date>`now()`, last_recoverable_at: latest })
    .where("addon_id", "=", addonId)
    .where("state", "=", "live")
    .execute();
  await db
    .updateTable("timelines")
    .set({ state: "live", live_from: sql<Date>`now()` })
    .where("addon_id", "=", addonId)
    .where("timeline", "=", timeline)
    .execute();
}

/**
 * The timeline that was the database's at a moment, when a restore has since put another in its place: what the database was then is on that one. Undefined for a
 * moment of the live timeline, and for one from before the lineage that is live.
 */
export async function timelineAt(db: Db, addonId: AddonId, time: TimestampUs): Promise<TimelineId | undefined> {
  const at = sql<Date>`${formatTimestamp(time)}::timestamptz`;
  const row = await db
    .selectFrom("timelines")
    .innerJoin("lineages", (join) =>
      join.onRef("lineages.id", "=", "timelines.lineage").on("lineages.ended_at", "is", null),
    )
    .select("timelines.timeline")
    .where("timelines.addon_id", "=", addonId)
    .where("timelines.state", "=", "left")
    .where("timelines.live_until", ">", at)
    .where("lineages.begun_at", "<=", at)
    .orderBy("timelines.live_until")
    .executeTakeFirst();
  return row === undefined ? undefined : toTimelineId(row.timeline);
}
