import { join } from "node:path";
import { TidemarkError, type ErrorCode, isErrorCode } from "../core/errors.ts";
import { type AddonId, newObjectId, type ObjectId } from "../core/ids.ts";
import { newDataFolderName, removeDataFolder } from "../instances/data-folders.ts";
import { managedFolder } from "../instances/managed-database.ts";
import { openContinuousSource } from "./base-backup.ts";
import type { ControlContext } from "./context.ts";
import { readEventActor, readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { OperationHandler, OperationWork, StoreResult } from "./operation-runner.ts";
import { insertOperation } from "./operations.ts";
import { buildCopy, nothingKept, type PointInTimePlace, reopenKeptFolder } from "./point-in-time-build.ts";
import { planPointInTimeRestore } from "./point-in-time-plan.ts";
import { describeRequest } from "./point-in-time-request.ts";
import { hasReachedPhase, noteStep, readJournal } from "./point-in-time-rows.ts";
import type { RestoreWish } from "./point-in-time-service.ts";

/** How often the host's part is looked at. */
const SWAP_POLL_MS = 200;

/** Handlers of a worker: the plan, and the building of what takes the database's place; the place itself is changed by the host, as `pitr_swap`. */
export function pointInTimeHandlers(
  context: ControlContext,
  place: PointInTimePlace,
): { readonly [Kind in "pitr_plan" | "pitr_restore" | "pitr_undo"]: OperationHandler } {
  return {
    pitr_plan: (work) => plan(context, place, work),
    pitr_restore: async (work) => {
      const journal = await readJournal(context.database.db, work.operation.id);
      if (!hasReachedPhase(journal, "built"))
        await buildCopy(context, place, { work, journal, wish: wishOf(journal.request) });
      return await handOver(context, place, work);
    },
    pitr_undo: async (work) => {
      const journal = await readJournal(context.database.db, work.operation.id);
      if (!hasReachedPhase(journal, "built")) {
        const name = journal.data_folder ?? (await newestKept(context, work.operation.addon_id));
        await reopenKeptFolder(context, place, { work, name });
      }
      return await handOver(context, place, work);
    },
  };
}

async function plan(context: ControlContext, place: PointInTimePlace, work: OperationWork): Promise<StoreResult> {
  const { operation, signal } = work;
  const { request } = await readJournal(context.database.db, operation.id);
  const addonId = operation.addon_id;
  const { archive } = await openContinuousSource(context, place, { addonId, applicationName: "tidemark restore" });
  const folder = join(managedFolder(place, { addonId }), newDataFolderName(operation.id));
  const planned = await planPointInTimeRestore(context, archive, { addonId, wish: wishOf(request), folder }, signal);
  return (transaction) => noteStep(transaction, operation.id, { plan: planned.plan, phase: "done" });
}

function wishOf(request: { readonly kind: string } | RestoreWish): RestoreWish {
  if ("target" in request) return request;
  throw new TidemarkError("bug", "An undoing has no target");
}

async function newestKept({ database }: ControlContext, addonId: AddonId): Promise<string> {
  const row = await database.db
    .selectFrom("kept_data_folders")
    .select("name")
    .where("addon_id", "=", addonId)
    .orderBy("left_at", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) throw nothingKept();
  return row.name;
}

/** Leaves the swap to the database's host and waits for its end, which no death of this worker changes. */
async function handOver(context: ControlContext, place: PointInTimePlace, work: OperationWork): Promise<StoreResult> {
  const { operation, signal } = work;
  const swapId = await beginSwap(context, work);
  try {
    await untilSwapped(context, swapId, signal);
  } catch (error) {
    await discard(context, place, { work, error });
    throw error;
  }
  return async (transaction) => {
    await noteStep(transaction, operation.id, { phase: "done" });
    const { request } = await readJournal(transaction, operation.id);
    const addon = await readEventAddon(transaction, operation.addon_id);
    await recordDatabaseEvent(transaction, addon, {
      type: operation.kind === "pitr_undo" ? "database_restore_undone" : "database_restore_succeeded",
      data: { restore_id: operation.id, target: describeRequest(request) },
      actor: await readEventActor(transaction, operation.requested_by),
      at: context.clock.now(),
    });
  };
}

async function beginSwap(context: ControlContext, { operation }: OperationWork): Promise<ObjectId> {
  const { database, clock, queue, hostId } = context;
  return await database.db.transaction().execute(async (transaction) => {
    const journal = await readJournal(transaction, operation.id);
    if (journal.swap_operation_id !== null) return journal.swap_operation_id;
    const swapOperationId = newObjectId(clock.now());
    const swap = await insertOperation(transaction, {
      id: swapOperationId,
      kind: "pitr_swap",
      addonId: operation.addon_id,
      requestedBy: operation.requested_by,
    });
    await noteStep(transaction, operation.id, { swapOperationId });
    await queue.send(swap, hostId, transaction);
    return swapOperationId;
  });
}

async function untilSwapped({ database, clock }: ControlContext, swapId: ObjectId, signal: AbortSignal): Promise<void> {
  for (;;) {
    const swap = await database.db
      .selectFrom("operations")
      .select(["state", "error_code", "error_message", "error_hint"])
      .where("id", "=", swapId)
      .executeTakeFirstOrThrow();
    if (swap.state === "done") return;
    if (swap.state === "error") {
      throw new TidemarkError("handover_failed", swap.error_message ?? "The swap failed", {
        ...(swap.error_hint === null ? {} : { hint: swap.error_hint }),
        ...(swap.error_code === null ? {} : { details: { cause: swap.error_code } }),
      });
    }
    await clock.sleep(SWAP_POLL_MS, signal);
  }
}

/** Errors that say nothing of the swap, which goes on: whoever takes the operation up next waits for it again. */
const GOES_ON: readonly ErrorCode[] = ["lease_lost", "platform_stopping"];

/** A copy that can't take the database's place any more is of no use; replaced data is kept. */
async function discard(
  context: ControlContext,
  place: PointInTimePlace,
  { work, error }: { work: OperationWork; error: unknown },
): Promise<void> {
  const { operation } = work;
  if (work.signal.aborted && GOES_ON.some((code) => isErrorCode(work.signal.reason, code))) return;
  if (!isErrorCode(error, "handover_failed")) return;
  const journal = await readJournal(context.database.db, operation.id);
  if (operation.kind !== "pitr_restore" || hasReachedPhase(journal, "starting") || journal.data_folder === null) return;
  await removeDataFolder(managedFolder(place, { addonId: operation.addon_id }), journal.data_folder, context.clock);
}
