import { TidemarkError } from "../core/errors.ts";
import { type AddonId, isObjectId } from "../core/ids.ts";
import { parseLsn } from "../core/lsn.ts";
import { type ContinuousRetentionPlan, planContinuousRetention } from "../policy/continuous-retention.ts";
import { expireBaseBackup, expireWal } from "../repository/physical-expiry.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { readBranchesMade } from "./timelines.ts";
import type { ControlContext } from "./context.ts";
import { readEventAddon, recordDatabaseEvent } from "./events.ts";

/**
 * Removes what a database's recovery window no longer needs: base backups by their manifests first, then log. Policy decides by the index;
 * each removal asks the repository again before it happens.
 */
export async function expireContinuousBackups(
  context: ControlContext,
  { addonId, archive, signal }: { addonId: AddonId; archive: PhysicalArchive; signal: AbortSignal },
): Promise<void> {
  const { logger, database, clock } = context;
  const plan = await readPlan(context, addonId);
  for (const { id, isKept, reason } of plan.verdicts) {
    if (isKept || !isObjectId(id)) continue;
    await expireBaseBackup(archive, id, signal);
    await database.db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom("base_backups").where("id", "=", id).execute();
      const data = { base_backup_id: id, reason };
      const event = { type: "database_base_backup_removed", data, actor: "platform", at: clock.now() } as const;
      await recordDatabaseEvent(transaction, await readEventAddon(transaction, addonId), event);
    });
    logger.info({ addon: addonId, baseBackup: id, reason }, "a base backup was removed");
  }
  for (const [lineage, floor] of plan.walFloors) {
    if (floor === "none" || !isObjectId(lineage)) continue;
    const removed = await expireWal(archive, { lineage, before: floor }, signal);
    if (removed > 0) logger.info({ addon: addonId, lineage, removed }, "write-ahead log was removed");
  }
}

async function readPlan(
  { database, clock, plans }: ControlContext,
  addonId: AddonId,
): Promise<ContinuousRetentionPlan> {
  const { db } = database;
  const { plan_name: planName } = await db
    .selectFrom("addons")
    .select("plan_name")
    .where("id", "=", addonId)
    .executeTakeFirstOrThrow();
  const plan = plans.find(planName);
  if (plan === undefined) throw new TidemarkError("bug", `The plan "${planName}" is not in the list of plans`);
  const baseBackups = await db.selectFrom("base_backups").selectAll().where("addon_id", "=", addonId).execute();
  const lineages = await db.selectFrom("lineages").selectAll().where("addon_id", "=", addonId).execute();
  return planContinuousRetention(
    {
      recoveryWindowDays: plan.retention.recoveryWindowDays,
      baseBackups: baseBackups.map((row) => ({
        id: row.id,
        lineage: row.lineage,
        timeline: row.timeline,
        startLsn: parseLsn(row.start_lsn),
        stopLsn: parseLsn(row.stop_lsn),
        finishedAt: row.finished_at,
        // Committed only once all its log was stored.
        isRestorable: true,
      })),
      branches: await readBranchesMade(db, addonId),
      lineages: lineages.map((row) => ({ id: row.id, endedAt: row.ended_at })),
    },
    clock.now(),
  );
}
