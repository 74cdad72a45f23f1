import type { Kysely } from "kysely";
import type { AddonId } from "../core/ids.ts";
import type { RecoveryWindow } from "./model.ts";
import { precise, readBranches } from "./recovery-branches.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** There is about one a day in a window of days; holes add some. A reply stays small whatever happens. */
const BASE_BACKUPS_SHOWN_MAX = 100;

/** The recovery window of one database, from the index of the repository and what the receiver of its log last said. */
export async function readRecoveryWindow(db: Db, addonId: AddonId): Promise<RecoveryWindow> {
  const stream = await db
    .selectFrom("wal_streams")
    .select(["state", "state_reason", "lineage", "timeline", "stored_lsn"])
    .select(precise("latest_recoverable_at").as("latest"))
    .where("addon_id", "=", addonId)
    .executeTakeFirst();
  const branches = await readBranches(db, addonId, {
    lineage: stream?.lineage ?? null,
    timeline: stream?.timeline ?? null,
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
    newestBaseBackups: await readNewestBaseBackups(db, addonId),
    protects,
  };
}

async function readNewestBaseBackups(db: Db, addonId: AddonId): Promise<RecoveryWindow["newestBaseBackups"]> {
  return await db
    .selectFrom("base_backups")
    .select(["id", "lineage as branchId", "timeline", "data_bytes as dataBytes", "stored_bytes as storedBytes"])
    .select([
      // Neither column is ever null.
      precise("started_at").$notNull().as("startedAt"),
      precise("finished_at").$notNull().as("finishedAt"),
    ])
    .where("addon_id", "=", addonId)
    .orderBy("finished_at", "desc")
    .limit(BASE_BACKUPS_SHOWN_MAX)
    .execute();
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
