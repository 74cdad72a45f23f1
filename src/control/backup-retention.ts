import type { Kysely, Transaction } from "kysely";
import { sql } from "kysely";
import { assert } from "../core/assert.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { AddonId, ObjectId } from "../core/ids.ts";
import {
  type BackupRetentionFacts,
  type BackupVerdict,
  type KnownBackup,
  planBackupRetention,
} from "../policy/backup-retention.ts";
import type { PlanCatalogue } from "../policy/plans.ts";
import { deleteLogicalBackup } from "../repository/logical-backups.ts";
import type { Repository } from "../repository/repository.ts";
import type { ControlContext } from "./context.ts";
import { readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { OperationHandler } from "./operation-runner.ts";
import type { ControlSchema, OperationState } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** Handler of `expire_backups`, which follows each good backup. The operation's row goes with its end: the backups' rows tell the rest. */
export function expireBackupsHandler(context: ControlContext, repository: Repository): OperationHandler {
  return async ({ operation, signal }) => {
    await expireLogicalBackups(context, repository, { addonId: operation.addon_id, signal });
    return async (transaction) => {
      await transaction.deleteFrom("operations").where("id", "=", operation.id).execute();
    };
  };
}

/**
 * Removes the logical backups that a database's plan no longer keeps. Each disappears from every list as its removal begins; then its manifest goes,
 * its bytes, and its row last. Whatever is interrupted or refused is gone on with by the next call; several at once do no harm.
 *
 * @throws the first failure, when all others have been tried.
 */
export async function expireLogicalBackups(
  context: ControlContext,
  repository: Repository,
  { addonId, signal }: { addonId: AddonId; signal: AbortSignal },
): Promise<void> {
  const { db } = context.database;
  await db.transaction().execute((transaction) => beginRemovals(context, transaction, addonId));
  const going = await db
    .selectFrom("backups")
    .select(["id", "operation_id"])
    .where("addon_id", "=", addonId)
    .where("removal_began_at", "is not", null)
    .orderBy("id")
    .execute();
  const failures: TidemarkError[] = [];
  for (const backup of going) {
    try {
      await deleteLogicalBackup(repository, { databaseId: addonId, backupId: backup.id }, { signal });
      await forgetBackup(db, backup);
    } catch (error) {
      signal.throwIfAborted();
      const failure = asTidemarkError(error);
      const facts = { addon: addonId, backup: backup.id, code: failure.code, error: failure.message };
      context.logger.error(facts, "a backup was not removed; the next time tries again");
      failures.push(failure);
    }
  }
  const [first] = failures;
  if (first !== undefined) throw first;
}

/**
 * What the plan keeps of a database's logical backups, by backup.
 *
 * @param plan another plan's name, to see what it would keep; `invalid_fields` when there is none of this name.
 */
export async function readVerdicts(
  { database, clock, plans }: Pick<ControlContext, "database" | "clock" | "plans">,
  addonId: AddonId,
  { plan }: { plan?: string } = {},
): Promise<ReadonlyMap<string, BackupVerdict>> {
  const facts = await readFacts(database.db, plans, { addonId, ...(plan === undefined ? {} : { planName: plan }) });
  return new Map(planBackupRetention(facts, clock.now()).map((verdict) => [verdict.id, verdict]));
}

/** Decides under a lock, so that two that decide at once agree, and marks what goes. */
async function beginRemovals(
  { clock, logger, plans }: ControlContext,
  transaction: Transaction<ControlSchema>,
  addonId: AddonId,
): Promise<void> {
  await transaction
    .selectFrom("databases")
    .select("addon_id")
    .where("addon_id", "=", addonId)
    .forNoKeyUpdate()
    .execute();
  const facts = await readFacts(transaction, plans, { addonId });
  const verdicts = planBackupRetention(facts, clock.now());
  const going = verdicts.filter(({ isKept }) => !isKept);
  if (going.length === 0) return;
  requireCopyLeft(facts, verdicts);
  const ids = going.map(({ id }) => id);
  await transaction
    .updateTable("backups")
    .set({ removal_began_at: sql<Date>`now()` })
    .where(sql<string>`id`, "in", ids)
    .execute();
  const addon = await readEventAddon(transaction, addonId);
  const methods = new Map(facts.backups.map(({ id, method }) => [id, method]));
  for (const { id, reason } of going) {
    logger.info({ addon: addonId, backup: id, reason }, "a backup goes");
    const data = { backup_id: id, backup_method: methods.get(id) ?? "periodic", reason };
    const event = { type: "database_backup_removed", data, actor: "platform", at: clock.now() } as const;
    await recordDatabaseEvent(transaction, addon, event);
  }
}

/** The second look, beside policy's own: a database that exists never loses its last good backup. */
function requireCopyLeft(facts: BackupRetentionFacts, verdicts: readonly BackupVerdict[]): void {
  if (facts.removedAt !== null) return;
  const good = new Set(facts.backups.filter(({ state }) => state === "done").map(({ id }) => id));
  const hasGoodLeft = verdicts.some(({ id, isKept }) => isKept && good.has(id));
  assert(good.size === 0 || hasGoodLeft, "a database keeps a good backup");
}

async function readFacts(
  db: Db,
  plans: PlanCatalogue,
  { addonId, planName }: { addonId: AddonId; planName?: string },
): Promise<BackupRetentionFacts> {
  const addon = await db
    .selectFrom("addons")
    .innerJoin("databases", "databases.addon_id", "addons.id")
    .select(["plan_name", "removed_at", "periodic_backups_enabled"])
    .where("addons.id", "=", addonId)
    .executeTakeFirstOrThrow();
  const newestBase = await db
    .selectFrom("base_backups")
    .select("suspect_pages")
    .where("addon_id", "=", addonId)
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  const rows = await db
    .selectFrom("backups")
    .innerJoin("operations", "operations.id", "backups.operation_id")
    .select(["backups.id", "method", "night", "backups.created_at", "operations.state", "operations.error_code"])
    .where("backups.addon_id", "=", addonId)
    .where("removal_began_at", "is", null)
    .execute();
  return {
    retention: retentionOf(plans, planName ?? addon.plan_name, { isChosen: planName !== undefined }),
    isScheduled: addon.periodic_backups_enabled,
    hasDamagedPages: newestBase !== undefined && newestBase.suspect_pages > 0,
    removedAt: addon.removed_at,
    backups: rows.map(({ id, method, night, created_at: createdAt, state, error_code: errorCode }) => ({
      id,
      method,
      night,
      createdAt,
      state: stateOf(state, errorCode),
    })),
  };
}

function retentionOf(
  plans: PlanCatalogue,
  planName: string,
  { isChosen }: { isChosen: boolean },
): BackupRetentionFacts["retention"] {
  const plan = plans.find(planName);
  if (plan !== undefined) return plan.retention;
  if (!isChosen) throw new TidemarkError("bug", `The plan "${planName}" of an addon is not in the list of plans`);
  throw new TidemarkError("invalid_fields", `There is no plan "${planName}"`, {
    fields: { plan: [`is not one of ${plans.all.map(({ name }) => name).join(", ")}`] },
  });
}

function stateOf(state: OperationState, errorCode: string | null): KnownBackup["state"] {
  if (state === "done") return "done";
  if (state !== "error") return "open";
  return errorCode === "cancelled" ? "cancelled" : "failed";
}

/** The row goes last, with the operation that made the backup. */
async function forgetBackup(db: Db, backup: { id: ObjectId; operation_id: ObjectId }): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await transaction.deleteFrom("backups").where("id", "=", backup.id).execute();
    await transaction.deleteFrom("operations").where("id", "=", backup.operation_id).execute();
  });
}
