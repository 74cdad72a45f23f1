import { type Kysely, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { type AddonFacts, findAddonOfCaller, findAddonWithBackups, type Right } from "./access.ts";
import { readBackup } from "./backup-rows.ts";
import type { ControlContext } from "./context.ts";
import { databaseOfAddon, placeOfAddon, recordEvent } from "./events.ts";
import { requireQuiet } from "./exclusive-work.ts";
import type { LogicalRestore, LogicalRestoreObject, LogicalRestoreService } from "./logical-restore-service.ts";
import { insertOperation, requestCancel } from "./operations.ts";
import type { ControlSchema } from "./schema.ts";
import type { DatabaseCaller } from "./services.ts";

type Db = Kysely<ControlSchema>;

const LIST_ROWS_MAX = 100;

export function createLogicalRestoreService(context: ControlContext): LogicalRestoreService {
  const { db } = context.database;
  return {
    create: (caller, word, input) => createRestore(context, caller, { word, ...input }),
    async list(caller, word) {
      const addon = await findAddonWithBackups(db, caller, word, "read");
      const rows = await restoreQuery(db)
        .where("logical_restores.addon_id", "=", addon.id)
        .orderBy("logical_restores.id", "desc")
        .limit(LIST_ROWS_MAX)
        .execute();
      return rows.map((row) => restoreOf(row, { withObjects: false }));
    },
    show: (caller, restoreId) => findRestore(db, caller, { restoreId, right: "read" }),
    async cancel(caller, restoreId) {
      const restore = await findRestore(db, caller, { restoreId, right: "operate" });
      if (restore.endedAt !== null)
        throw new TidemarkError("conflict", `The restore ${restoreId} has ended already, as "${restore.status}"`);
      const reason = new TidemarkError("cancelled", `Cancelled by ${caller.principal.username}`);
      await requestCancel(db, restore.operationId, reason);
      return await findRestore(db, caller, { restoreId, right: "operate" });
    },
  };
}

async function createRestore(
  { database, clock, queue }: ControlContext,
  caller: DatabaseCaller,
  { word, backupId, to }: { word: string; backupId: string; to: string | null },
): Promise<LogicalRestore> {
  const { db } = database;
  const source = await findAddonWithBackups(db, caller, word, "operate");
  const backup = await readBackup(db, backupId);
  if (backup === undefined || backup.addonId !== source.id) throw backupNotFound(backupId);
  const target = await findAddonOfCaller(db, caller, to ?? word, "operate");
  if (backup.status !== "done")
    throw new TidemarkError("conflict", `The backup ${backupId} can't be restored: it is "${backup.status}"`);
  requireRunning(target);
  const id = newObjectId(clock.now());
  await db.transaction().execute(async (transaction) => {
    await requireQuiet(transaction, target.id);
    const operation = await insertOperation(transaction, {
      id: newObjectId(clock.now()),
      kind: "logical_restore",
      addonId: target.id,
      requestedBy: caller.principal.userId,
    });
    await transaction
      .insertInto("logical_restores")
      .values({
        id,
        operation_id: operation.id,
        addon_id: target.id,
        source_addon_id: source.id,
        backup_id: backup.id,
        created_at: clock.now(),
      })
      .execute();
    await recordEvent(transaction, {
      type: "database_restore_started",
      data: { ...databaseOfAddon(target), restore_id: id, target: `backup ${backup.id}` },
      actor: caller.principal,
      at: clock.now(),
      place: placeOfAddon(target),
    });
    await queue.send(operation, target.host_id, transaction);
  });
  return await findRestore(db, caller, { restoreId: id, right: "operate" });
}

function requireRunning(addon: AddonFacts): void {
  if (addon.state === "running" && addon.status === "running") return;
  const reason = addon.state === "provisioning" ? "it is being made" : (addon.status_reason ?? "its server is stopped");
  throw new TidemarkError("conflict", `Nothing can be restored into ${addon.resource_id} now: ${reason}`, {
    hint: "tidemark status shows when it runs.",
  });
}

async function findRestore(
  db: Db,
  caller: DatabaseCaller,
  { restoreId, right }: { restoreId: string; right: Right },
): Promise<LogicalRestore> {
  const row = await restoreQuery(db)
    .where(sql`logical_restores.id`, "=", restoreId)
    .executeTakeFirst();
  if (row === undefined) throw restoreNotFound(restoreId);
  try {
    await findAddonWithBackups(db, caller, row.addon_id, right);
  } catch (error) {
    throw error instanceof TidemarkError && error.code === "not_found" ? restoreNotFound(restoreId) : error;
  }
  return restoreOf(row);
}

function restoreQuery(db: Db) {
  return db
    .selectFrom("logical_restores")
    .innerJoin("operations", "operations.id", "logical_restores.operation_id")
    .innerJoin("addons", "addons.id", "logical_restores.addon_id")
    .selectAll("logical_restores")
    .select([
      "addons.resource_id",
      "operations.state",
      "operations.progress_bytes",
      "operations.started_at",
      "operations.ended_at",
      "operations.error_code",
      "operations.error_message",
      "operations.error_hint",
    ]);
}

type Row = Awaited<ReturnType<ReturnType<typeof restoreQuery>["executeTakeFirstOrThrow"]>>;

function restoreOf(row: Row, { withObjects } = { withObjects: true }): LogicalRestore {
  const hasEnded = row.ended_at !== null;
  return {
    id: row.id,
    addonId: row.addon_id,
    resourceId: row.resource_id,
    sourceAddonId: row.source_addon_id,
    backupId: row.backup_id,
    operationId: row.operation_id,
    status: row.state,
    progressBytes: row.progress_bytes,
    totalBytes: row.total_bytes,
    // An attempt that is repeated has left its account.
    counts: hasEnded ? countsOf(row) : null,
    objects: hasEnded && withObjects ? row.objects : null,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    error:
      row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "", hint: row.error_hint },
  };
}

function countsOf({ restored, failed, kept, unknown }: Row): Record<LogicalRestoreObject["outcome"], number> | null {
  if (restored === null || failed === null || kept === null || unknown === null) return null;
  return { restored, failed, kept, unknown };
}

function backupNotFound(backupId: string): TidemarkError {
  return new TidemarkError("not_found", `There is no backup "${backupId}"`, {
    hint: "tidemark backups lists those of a database.",
  });
}

function restoreNotFound(restoreId: string): TidemarkError {
  return new TidemarkError("not_found", `There is no restore "${restoreId}"`);
}

/** What the handler stores of a restore. */
export interface StoredReport {
  readonly counts: Readonly<Record<LogicalRestoreObject["outcome"], number>>;
  readonly objects: readonly LogicalRestoreObject[];
}

/** Stores the account of a restore. */
export async function storeReport(db: Db, restoreId: ObjectId, { counts, objects }: StoredReport): Promise<void> {
  await db
    .updateTable("logical_restores")
    .set({ ...counts, objects: JSON.stringify(objects) })
    .where("id", "=", restoreId)
    .execute();
}
