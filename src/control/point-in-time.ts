import type { Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { parseTimestamp } from "../core/timestamp.ts";
import { parseTarget } from "../restore/target-text.ts";
import { type AddonFacts, findAddonOfCaller } from "./access.ts";
import type { ControlContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { databaseOfAddon, placeOfAddon, recordEvent } from "./events.ts";
import { requireQuiet } from "./exclusive-work.ts";
import { insertOperation, requestCancel } from "./operations.ts";
import { nothingKept } from "./point-in-time-build.ts";
import { describeRequest } from "./point-in-time-request.ts";
import {
  hasReachedPhase,
  insertJournal,
  listPointInTimeOperations,
  readPointInTimeOperation,
} from "./point-in-time-rows.ts";
import type {
  PointInTimeOperation,
  PointInTimeRequest,
  PointInTimeService,
  RestoreWish,
} from "./point-in-time-service.ts";
import { readRecoveryWindow } from "./recovery-window.ts";
import type { ControlSchema } from "./schema.ts";
import type { DatabaseCaller } from "./services.ts";

export function createPointInTimeService(context: ControlContext): PointInTimeService {
  const { db } = context.database;
  const find = (caller: DatabaseCaller, word: string) => findAddonOfCaller(db, caller, word, "operate");
  return {
    async plan(caller, word, wish) {
      const addon = await find(caller, word);
      await checkWish(context, addon, wish);
      return await begin(context, { addon, caller, type: "pitr_plan", request: { kind: "restore", ...wish } });
    },
    async restore(caller, word, wish) {
      const addon = await find(caller, word);
      await checkWish(context, addon, wish);
      return await begin(context, { addon, caller, type: "pitr_restore", request: { kind: "restore", ...wish } });
    },
    async undo(caller, word) {
      const addon = await find(caller, word);
      return await begin(context, { addon, caller, type: "pitr_undo", request: { kind: "undo" } });
    },
    async operations(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word, "read");
      return await listPointInTimeOperations(db, addon.id);
    },
    async operation(caller, word, id) {
      return await readOwn(context, await find(caller, word), id);
    },
    async cancel(caller, word, id) {
      const addon = await find(caller, word);
      const operation = await readOwn(context, addon, id);
      if (operation.endedAt !== null || hasReachedPhase(operation, "built"))
        throw new TidemarkError("conflict", `The operation ${id} can't be cancelled any more`, {
          hint: "tidemark database-pitr-undo puts back what a restore has replaced.",
        });
      await requestCancel(
        db,
        operation.id,
        new TidemarkError("cancelled", `Cancelled by ${caller.principal.username}`),
      );
      return await readOwn(context, addon, id);
    },
  };
}

/** What can be refused at once: a moment that can't be read or lies outside the window. The rest takes reading the log, and is the plan's. */
async function checkWish({ database, clock }: ControlContext, addon: AddonFacts, wish: RestoreWish): Promise<void> {
  const refuse = (message: string, hint?: string): TidemarkError =>
    new TidemarkError("invalid_fields", `Cannot restore to "${wish.target}": ${message}`, {
      fields: { restore_time: [message] },
      ...(hint === undefined ? {} : { hint }),
    });
  let target;
  try {
    target = parseTarget(wish.target, { isExclusive: wish.isExclusive });
  } catch (error) {
    if (error instanceof TidemarkError && error.kind === "user") throw refuse(error.message, error.hint);
    throw error;
  }
  const window = await readRecoveryWindow(database.db, addon.id);
  const { earliestRecoverableAt: earliest, latestRecoverableAt: latest } = window;
  if (earliest === null || latest === null) throw refuse("nothing can be restored yet: there is no recovery window");
  if (wish.branch !== null && !window.branches.some(({ timeline }) => timeline === wish.branch))
    throw refuse(`there is no branch ${wish.branch}`, "tidemark database-pitr-recovery-window shows the branches.");
  if (target.kind !== "time") return;
  if (target.time > parseTimestamp(clock.now().toISOString()))
    throw refuse(`it lies in the future; the latest moment is ${latest}`);
  const oldest = window.branches
    .map((branch) => branch.earliestRecoverableAt)
    .filter((at) => at !== null)
    .toSorted()[0];
  if (oldest !== undefined && target.time < parseTimestamp(oldest))
    throw refuse(`it lies before the recovery window, which begins at ${oldest}`);
}

interface Beginning {
  readonly addon: AddonFacts;
  readonly caller: DatabaseCaller;
  readonly type: PointInTimeOperation["type"];
  readonly request: PointInTimeRequest;
}

async function begin(context: ControlContext, beginning: Beginning): Promise<PointInTimeOperation> {
  const { database, clock, queue } = context;
  const { addon, caller, type, request } = beginning;
  const id = newObjectId(clock.now());
  try {
    await database.db.transaction().execute(async (transaction) => {
      if (type !== "pitr_plan") await requireQuiet(transaction, addon.id);
      if (type === "pitr_undo") await requireKept(transaction, addon);
      const operation = await insertOperation(transaction, {
        id,
        kind: type,
        addonId: addon.id,
        requestedBy: caller.principal.userId,
      });
      await insertJournal(transaction, { operationId: id, addonId: addon.id, request });
      if (type !== "pitr_plan") await recordStart(transaction, beginning, { id, at: clock.now() });
      await queue.send(operation, addon.host_id, transaction);
    });
  } catch (error) {
    if (violatedConstraint(error, UNIQUE_VIOLATION) !== "operations_one_open") throw error;
    throw new TidemarkError("conflict", "Another plan of a restore is being made for this database", {
      hint: "Ask again in a moment.",
    });
  }
  return await readOwn(context, addon, id);
}

async function recordStart(
  transaction: Transaction<ControlSchema>,
  { addon, caller, request }: Beginning,
  { id, at }: { id: string; at: Date },
): Promise<void> {
  await recordEvent(transaction, {
    type: "database_restore_started",
    data: { ...databaseOfAddon(addon), restore_id: id, target: describeRequest(request) },
    actor: caller.principal,
    at,
    place: placeOfAddon(addon),
  });
}

async function requireKept(transaction: Transaction<ControlSchema>, addon: AddonFacts): Promise<void> {
  const kept = await transaction
    .selectFrom("kept_data_folders")
    .select("name")
    .where("addon_id", "=", addon.id)
    .limit(1)
    .executeTakeFirst();
  if (kept === undefined) throw nothingKept();
}

async function readOwn({ database }: ControlContext, addon: AddonFacts, id: string): Promise<PointInTimeOperation> {
  const operation = await readPointInTimeOperation(database.db, addon.id, id);
  if (operation !== undefined) return operation;
  throw new TidemarkError("not_found", `There is no operation "${id}" of this database`);
}
