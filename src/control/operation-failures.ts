import type { Transaction } from "kysely";
import { readEventActor, readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { OperationFailure } from "./operation-runner.ts";
import { describeRequest } from "./point-in-time-request.ts";
import { readJournal } from "./point-in-time-rows.ts";
import type { ControlSchema } from "./schema.ts";

/** Records that a backup or a restore failed for good; an `onFailed` of `OperationRunner`. One that was cancelled did what somebody asked for. */
export async function recordOperationFailure(
  transaction: Transaction<ControlSchema>,
  { operation, error, at }: OperationFailure,
): Promise<void> {
  if (error.code === "cancelled") return;
  const addon = await readEventAddon(transaction, operation.addon_id);
  const actor = await readEventActor(transaction, operation.requested_by);
  if (operation.kind === "base_backup") {
    const data = { error: error.message };
    await recordDatabaseEvent(transaction, addon, { type: "database_base_backup_failed", data, actor, at });
  }
  if (operation.kind === "pitr_restore" || operation.kind === "pitr_undo") {
    const { request } = await readJournal(transaction, operation.id);
    const data = { restore_id: operation.id, target: describeRequest(request), error: error.message };
    await recordDatabaseEvent(transaction, addon, { type: "database_restore_failed", data, actor, at });
  }
  if (operation.kind === "logical_restore") {
    const restore = await transaction
      .selectFrom("logical_restores")
      .select(["id", "backup_id"])
      .where("operation_id", "=", operation.id)
      .executeTakeFirst();
    if (restore === undefined) return;
    const data = { restore_id: restore.id, target: `backup ${restore.backup_id}`, error: error.message };
    await recordDatabaseEvent(transaction, addon, { type: "database_restore_failed", data, actor, at });
  }
  if (operation.kind !== "logical_backup") return;
  const backup = await transaction
    .selectFrom("backups")
    .select(["id", "method"])
    .where("operation_id", "=", operation.id)
    .executeTakeFirst();
  if (backup === undefined) return;
  const data = {
    backup_id: backup.id,
    backup_method: backup.method,
    backup_status: "error",
    started_at: operation.started_at?.toISOString() ?? null,
    ended_at: at.toISOString(),
    error: error.message,
  } as const;
  await recordDatabaseEvent(transaction, addon, { type: "database_backup_failed", data, actor, at });
}
