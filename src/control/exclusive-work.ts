import type { Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import type { ControlSchema, OperationKind } from "./schema.ts";

/** While one of these is open, the database, or what it holds, is about to become another. */
export const RESTORING_KINDS = [
  "pitr_restore",
  "pitr_undo",
  "pitr_swap",
  "logical_restore",
] as const satisfies readonly OperationKind[];
/** What a restore in place lets go on, or ends itself. */
const HARMLESS_KINDS = [
  "base_backup",
  "expire_backups",
  "reconfigure",
  "pitr_plan",
] as const satisfies readonly OperationKind[];

/**
 * Refuses to begin work on a database while a restore in place is open. Locks the database's row until the transaction ends, so that of two that begin at
 * once one sees the other.
 *
 * @throws `conflict`
 */
export async function requireNoRestore(transaction: Transaction<ControlSchema>, addonId: AddonId): Promise<void> {
  await lockDatabase(transaction, addonId);
  const open = await transaction
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addonId)
    .where("kind", "in", RESTORING_KINDS)
    .where("state", "in", ["scheduled", "running"])
    .executeTakeFirst();
  if (open === undefined) return;
  throw new TidemarkError("conflict", "The database is being restored", {
    hint: "Wait until that has ended, then ask again.",
    details: { operation_id: open.id },
  });
}

/** As `requireNoRestore`, for a restore itself: nothing else that reads or changes the whole database may be open. @throws `conflict` */
export async function requireQuiet(transaction: Transaction<ControlSchema>, addonId: AddonId): Promise<void> {
  await lockDatabase(transaction, addonId);
  const open = await transaction
    .selectFrom("operations")
    .select(["id", "kind"])
    .where("addon_id", "=", addonId)
    .where("kind", "not in", HARMLESS_KINDS)
    .where("state", "in", ["scheduled", "running"])
    .executeTakeFirst();
  if (open === undefined) return;
  const what =
    open.kind === "logical_backup" ? "A backup of the database is running" : "Other work on the database is under way";
  throw new TidemarkError("conflict", `${what}: a restore can't begin now`, {
    hint:
      open.kind === "logical_backup"
        ? "Wait for it, or end it: tidemark backups shows it, tidemark backups-cancel ends it."
        : "Wait until it has ended, then ask again.",
    details: { operation_id: open.id },
  });
}

async function lockDatabase(transaction: Transaction<ControlSchema>, addonId: AddonId): Promise<void> {
  await transaction.selectFrom("databases").select("addon_id").where("addon_id", "=", addonId).forUpdate().execute();
}
