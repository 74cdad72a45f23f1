import type { Transaction } from "kysely";
import { sql } from "kysely";
import type { AddonId, ObjectId } from "../core/ids.ts";
import { newObjectId } from "../core/ids.ts";
import type { ControlContext } from "./context.ts";
import { insertOperationUnlessOpen } from "./operations.ts";
import type { ControlSchema } from "./schema.ts";

type Requesting = Pick<ControlContext, "queue" | "clock">;

/**
 * Has a database's server take up what this transaction changes about it. A request that comes while an earlier one is carried out is met by another
 * operation, which that one's end begins.
 */
export async function requestReconfiguration(
  context: Requesting,
  transaction: Transaction<ControlSchema>,
  { addon, requestedBy }: { addon: { readonly id: AddonId; readonly host_id: string }; requestedBy: ObjectId | null },
): Promise<void> {
  await transaction
    .updateTable("databases")
    .set({ settings_wanted: sql<number>`settings_wanted + 1` })
    .where("addon_id", "=", addon.id)
    .execute();
  // Its end and this request wait for each other, so that either it sees the change or we see that it has ended.
  await transaction
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addon.id)
    .where("kind", "=", "reconfigure")
    .where("state", "in", ["scheduled", "running"])
    .forNoKeyUpdate()
    .execute();
  await beginReconfiguration(context, transaction, { addon, requestedBy });
}

/** Call it in the transaction that ends a reconfiguration, with the row that it carried out. */
export async function reconfigureAgainIfChanged(
  context: Requesting,
  transaction: Transaction<ControlSchema>,
  row: { readonly addon_id: AddonId; readonly host_id: string; readonly settings_wanted: number },
): Promise<void> {
  const now = await transaction
    .selectFrom("databases")
    .select("settings_wanted")
    .where("addon_id", "=", row.addon_id)
    .executeTakeFirstOrThrow();
  if (now.settings_wanted === row.settings_wanted) return;
  const addon = { id: row.addon_id, host_id: row.host_id };
  await beginReconfiguration(context, transaction, { addon, requestedBy: null });
}

/** Marks the features that the server has taken up. */
export async function noteFeaturesTaken(
  transaction: Transaction<ControlSchema>,
  row: { readonly addon_id: AddonId; readonly features: readonly string[] },
): Promise<void> {
  if (row.features.length === 0) return;
  await transaction
    .updateTable("database_features")
    .set({ status: "ACTIVATED" })
    .where("addon_id", "=", row.addon_id)
    .where(sql<string>`name`, "in", row.features)
    .execute();
}

async function beginReconfiguration(
  { queue, clock }: Requesting,
  transaction: Transaction<ControlSchema>,
  { addon, requestedBy }: { addon: { readonly id: AddonId; readonly host_id: string }; requestedBy: ObjectId | null },
): Promise<void> {
  const operation = await insertOperationUnlessOpen(transaction, {
    id: newObjectId(clock.now()),
    kind: "reconfigure",
    addonId: addon.id,
    requestedBy,
  });
  if (operation !== undefined) await queue.send(operation, addon.host_id, transaction);
}
