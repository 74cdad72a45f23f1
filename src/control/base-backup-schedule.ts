import { sql } from "kysely";
import { newObjectId, type AddonId } from "../core/ids.ts";
import { nextBaseBackup } from "../policy/base-backup-schedule.ts";
import type { SchedulingContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { RESTORING_KINDS } from "./exclusive-work.ts";
import { insertOperation } from "./operations.ts";

/** After a base backup failed for good, the next one isn't begun before: what is wrong is seldom mended sooner. */
const PAUSE_AFTER_FAILURE_MS = 10 * 60_000;

/** Begins every base backup that is due. Many schedulers may do so at once: one operation of the kind is open for a database. */
export async function scheduleBaseBackups(context: SchedulingContext): Promise<void> {
  const now = context.clock.now();
  for (const row of await readCandidates(context)) {
    const pausedUntilMs = (row.lastFailureAt?.getTime() ?? Number.NEGATIVE_INFINITY) + PAUSE_AFTER_FAILURE_MS;
    if (now.getTime() < pausedUntilMs) continue;
    const { at } = nextBaseBackup(
      { addonId: row.addonId, lastStartedAt: row.lastStartedAt, brokenBecause: row.rebaseReason },
      now,
    );
    if (at <= now) await beginBaseBackup(context, row);
  }
}

/** Databases that run and whose log is streamed, with neither a base backup nor a restore under way. */
async function readCandidates({ database }: SchedulingContext) {
  return await database.db
    .selectFrom("wal_streams")
    .innerJoin("addons", "addons.id", "wal_streams.addon_id")
    .innerJoin("databases", "databases.addon_id", "wal_streams.addon_id")
    .innerJoin("lineages", (join) =>
      join.onRef("lineages.addon_id", "=", "wal_streams.addon_id").on("lineages.ended_at", "is", null),
    )
    .select([
      "wal_streams.addon_id as addonId",
      "databases.host_id as hostId",
      "wal_streams.rebase_reason as rebaseReason",
    ])
    .select((row) => [
      row
        .selectFrom("base_backups")
        .select((base) => base.fn.max("base_backups.started_at").as("at"))
        .whereRef("base_backups.lineage", "=", "lineages.id")
        .as("lastStartedAt"),
      row
        .selectFrom("operations")
        .select((operation) => operation.fn.max("operations.ended_at").as("at"))
        .whereRef("operations.addon_id", "=", "wal_streams.addon_id")
        .where("operations.kind", "=", "base_backup")
        .where("operations.state", "=", "error")
        // A restore ends it, so that the next one can begin at once.
        .where("operations.error_code", "!=", "cancelled")
        // Of other data: what a restore has put in place since gets its base backup at once.
        .where(
          "operations.ended_at",
          ">",
          sql<Date>`coalesce((select max(live_from) from timelines where timelines.addon_id = wal_streams.addon_id), '-infinity')`,
        )
        .as("lastFailureAt"),
    ])
    .where("addons.state", "=", "running")
    .where("databases.status", "=", "running")
    .where("wal_streams.state", "=", "streaming")
    .where((row) =>
      row.not(
        row.exists(
          row
            .selectFrom("operations")
            .select(sql`1`.as("one"))
            .whereRef("operations.addon_id", "=", "wal_streams.addon_id")
            // A restore under way is about to replace what would be copied.
            .where("operations.kind", "in", ["base_backup", ...RESTORING_KINDS])
            .where("operations.state", "in", ["scheduled", "running"]),
        ),
      ),
    )
    .execute();
}

async function beginBaseBackup(
  { database, queue, clock, logger }: SchedulingContext,
  { addonId, hostId }: { addonId: AddonId; hostId: string },
): Promise<void> {
  try {
    await database.db.transaction().execute(async (transaction) => {
      const id = newObjectId(clock.now());
      const operation = await insertOperation(transaction, { id, kind: "base_backup", addonId, requestedBy: null });
      await queue.send(operation, hostId, transaction);
    });
    logger.info({ addon: addonId }, "a base backup is due");
  } catch (error) {
    // Another scheduler was faster.
    if (violatedConstraint(error, UNIQUE_VIOLATION) !== "operations_one_open") throw error;
  }
}
