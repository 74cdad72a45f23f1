import { type Kysely, sql } from "kysely";
import type { AddonId } from "../core/ids.ts";
import type { PreciseInstant, RecoveryWindow } from "./model.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** The recovery window of one database, from the index of the repository and what the receiver of its log last said. */
export async function readRecoveryWindow(db: Db, addonId: AddonId): Promise<RecoveryWindow> {
  const stream = await db
    .selectFrom("wal_streams")
    .select(["state", "state_reason", "lineage", "stored_lsn", precise("latest_recoverable_at").as("latest")])
    .where("addon_id", "=", addonId)
    .executeTakeFirst();
  const branches = await readBranches(db, addonId, {
    lineage: stream?.lineage ?? null,
    latest: stream?.latest ?? null,
  });
  const lineage = stream?.lineage ?? null;
  const holes = lineage === null ? [] : await readHoles(db, addonId, lineage);
  const { wal_protection: protects } = await db
    .selectFrom("databases")
    .select("wal_protection")
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  const { count } = await db
    .selectFrom("base_backups")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  const [current] = branches;
  return {
    earliestRecoverableAt: current?.earliestRecoverableAt ?? null,
    latestRecoverableAt: current?.latestRecoverableAt ?? null,
    holes,
    branches,
    stream:
      stream === undefined ? null : { state: stream.state, reason: stream.state_reason, storedLsn: stream.stored_lsn },
    baseBackups: count,
    protects,
  };
}

/** A branch is restorable from the end of its oldest base backup on; one without a base backup is not restorable at all. */
async function readBranches(
  db: Db,
  addonId: AddonId,
  live: { lineage: string | null; latest: PreciseInstant | null },
): Promise<RecoveryWindow["branches"]> {
  const rows = await db
    .selectFrom("lineages")
    .leftJoin("base_backups", "base_backups.lineage", "lineages.id")
    .select([
      "lineages.id",
      precise("lineages.last_recoverable_at").as("last"),
      precise("min(base_backups.finished_at)").as("earliest"),
    ])
    .where("lineages.addon_id", "=", addonId)
    .groupBy("lineages.id")
    .orderBy("lineages.id", "desc")
    .execute();
  return rows.map(({ id, earliest, last }) => {
    const latest = id === live.lineage ? live.latest : last;
    // Texts of one form compare as their instants. Until the log has passed the end of the base backup there is no window.
    const isOpen = earliest !== null && latest !== null && latest >= earliest;
    return { id, earliestRecoverableAt: isOpen ? earliest : null, latestRecoverableAt: isOpen ? latest : null };
  });
}

/** A hole ends where the first base backup after it was done. */
async function readHoles(db: Db, addonId: AddonId, lineage: string): Promise<RecoveryWindow["holes"]> {
  return await db
    .selectFrom("wal_gaps")
    .select([
      precise("wal_gaps.last_recoverable_at").as("from"),
      precise(
        `(select min(finished_at) from base_backups
          where base_backups.lineage = wal_gaps.lineage and base_backups.start_lsn >= wal_gaps.to_lsn)`,
      ).as("to"),
    ])
    .where("addon_id", "=", addonId)
    .where("lineage", "=", lineage)
    .orderBy("from_lsn")
    .execute();
}

/** `expression` is SQL of ours, never a user's. Rounded down by nothing: the column has microseconds. */
function precise(expression: string) {
  return sql<PreciseInstant | null>`to_char(${sql.raw(expression)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}
