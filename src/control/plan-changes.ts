import type { Transaction } from "kysely";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import type { BackupVerdict } from "../policy/backup-retention.ts";
import type { BackupPlan, PlanCatalogue } from "../policy/plans.ts";
import { type AddonFacts, findAddon, findApp } from "./access.ts";
import { addonOf, planOf, requirePlan } from "./addons.ts";
import { readVerdicts } from "./backup-retention.ts";
import { readBackups } from "./backup-rows.ts";
import type { ControlContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import type { HostedServer } from "./database-host.ts";
import type { PlanChange, PlanChangeService } from "./database-services.ts";
import { requireNoRestore } from "./exclusive-work.ts";
import { readEventActor, readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { OperationHandler } from "./operation-runner.ts";
import { ATTEMPTS_MAX, insertOperation } from "./operations.ts";
import type { Principal } from "./model.ts";
import type { ControlSchema, OperationRow } from "./schema.ts";

/** Far above what any plan keeps. */
const BACKUPS_MAX = 1000;
const RESTART_REASON = "Its plan is being changed: it restarts with other memory, and is back in a moment";

export function createPlanChangeService(context: ControlContext): PlanChangeService {
  const { db } = context.database;
  return {
    async preview(principal, app, word, planId) {
      const addon = await findAddon(db, await findApp(db, principal, app, "read"), word);
      return await previewChange(context, addon, requirePlan(context.plans, planId ?? addon.plan_name));
    },
    async begin(principal, app, word, planId) {
      const found = await findApp(db, principal, app, "manage");
      const addon = await findAddon(db, found, word);
      const plan = requirePlan(context.plans, planId);
      const change = await previewChange(context, addon, plan);
      requireChangeable(addon, plan);
      if (change.restarts) await requireNoBackup(context, addon);
      await beginChange(context, { addon, plan, principal });
      return { addon: addonOf(context.plans, await findAddon(db, found, addon.id)), change };
    },
  };
}

/** What the handler needs of the machine's host. */
interface ServerHost {
  withServer<T>(addonId: AddonFacts["id"], work: (server: HostedServer) => Promise<T>): Promise<T>;
}

/**
 * Handler of `change_plan`: the server takes up the new plan's memory, by a restart where it must, and only then the plan counts. When the server doesn't
 * run with it, the old plan stays.
 */
export function changePlanHandler(context: ControlContext, host: ServerHost): OperationHandler {
  return async ({ operation, signal }) => {
    const addonId = operation.addon_id;
    try {
      await host.withServer(addonId, async (server) => {
        const { pendingRestart } = await server.takeUpSettings();
        signal.throwIfAborted();
        if (pendingRestart.length > 0) await server.restart(RESTART_REASON);
      });
    } catch (error) {
      signal.throwIfAborted();
      const failure = asTidemarkError(error);
      // Nobody to talk to now, say in a recovery after a crash: the operation is tried again.
      if (failure.kind === "transient" && operation.attempt < ATTEMPTS_MAX) throw failure;
      throw await keepOldPlan(context, host, { addonId, error: failure });
    }
    return (transaction) => storePlan(context, transaction, operation);
  };
}

async function previewChange(context: ControlContext, addon: AddonFacts, to: BackupPlan): Promise<PlanChange> {
  const from = currentPlan(context.plans, addon);
  const now = await readVerdicts(context, addon.id);
  const then = await readVerdicts(context, addon.id, { plan: to.name });
  const backups = await readBackups(context.database.db, { addonId: addon.id, limit: BACKUPS_MAX });
  return {
    from: { ...planOf(from), recoveryWindowDays: from.retention.recoveryWindowDays },
    to: { ...planOf(to), recoveryWindowDays: to.retention.recoveryWindowDays },
    restarts: from.memoryMb !== to.memoryMb,
    backups: backups.flatMap((backup) => {
      const [before, after] = [now.get(backup.id), then.get(backup.id)];
      const outcome = before === undefined || after === undefined ? undefined : compare(before, after);
      if (outcome === undefined || after === undefined) return [];
      return [{ backup, outcome, reason: after.reason, keptUntil: after.keptUntil }];
    }),
  };
}

function compare(now: BackupVerdict, then: BackupVerdict): PlanChange["backups"][number]["outcome"] | undefined {
  if (!then.isKept) return now.isKept ? "goes" : undefined;
  if (!now.isKept) return "kept_longer";
  const [until, untilThen] = [lastMs(now.keptUntil), lastMs(then.keptUntil)];
  if (until === untilThen) return undefined;
  return untilThen > until ? "kept_longer" : "kept_shorter";
}

/** No date is later than any. */
function lastMs(keptUntil: Date | null): number {
  return keptUntil?.getTime() ?? Number.POSITIVE_INFINITY;
}

function requireChangeable(addon: AddonFacts, plan: BackupPlan): void {
  const refuse = (why: string, hint?: string) => {
    const options = hint === undefined ? {} : { hint };
    throw new TidemarkError("conflict", `The plan of ${addon.resource_id} can't be changed now: ${why}`, options);
  };
  if (addon.plan_name === plan.name) refuse(`it is "${plan.name}" already`);
  if (addon.state === "provisioning") refuse("it is being made", "Try again when tidemark status shows it running.");
  if (addon.status !== "running") refuse(addon.status_reason ?? "its server is stopped", "tidemark status says more.");
}

/** A restart would cut it; it would begin anew, so this spares work, not data. */
async function requireNoBackup({ database }: ControlContext, addon: AddonFacts): Promise<void> {
  const [newest] = await readBackups(database.db, { addonId: addon.id, status: "running", limit: 1 });
  if (newest === undefined) return;
  throw new TidemarkError("conflict", `A backup of ${addon.resource_id} is running: ${newest.id}`, {
    hint: "The change restarts the server. Wait until the backup has ended, or cancel it: tidemark backups-cancel.",
    details: { backup_id: newest.id },
  });
}

async function beginChange(
  { database, queue, clock }: ControlContext,
  { addon, plan, principal }: { addon: AddonFacts; plan: BackupPlan; principal: Principal },
): Promise<void> {
  try {
    await database.db.transaction().execute(async (transaction) => {
      await requireNoRestore(transaction, addon.id);
      const operation = await insertOperation(transaction, {
        id: newObjectId(clock.now()),
        kind: "change_plan",
        addonId: addon.id,
        requestedBy: principal.userId,
      });
      await transaction.updateTable("addons").set({ next_plan_name: plan.name }).where("id", "=", addon.id).execute();
      await queue.send(operation, addon.host_id, transaction);
    });
  } catch (error) {
    if (violatedConstraint(error, UNIQUE_VIOLATION) !== "operations_one_open") throw error;
    throw new TidemarkError("conflict", `The plan of ${addon.resource_id} is being changed already`, {
      hint: "Wait until that change is done: tidemark addons-info shows the plan.",
    });
  }
}

/** The new plan counts from the moment in which this is stored: backups of the old one are judged by it from then on. */
async function storePlan(
  { clock }: ControlContext,
  transaction: Transaction<ControlSchema>,
  { addon_id: addonId, requested_by: requestedBy }: OperationRow,
): Promise<void> {
  const { plan_name: before, next_plan_name: after } = await transaction
    .selectFrom("addons")
    .select(["plan_name", "next_plan_name"])
    .where("id", "=", addonId)
    .executeTakeFirstOrThrow();
  if (after === null) return;
  await transaction
    .updateTable("addons")
    .set({ plan_name: after, next_plan_name: null })
    .where("id", "=", addonId)
    .execute();
  const addon = await readEventAddon(transaction, addonId);
  await recordDatabaseEvent(transaction, addon, {
    type: "upgrade_addon",
    data: { plan_name: after, old_plan_name: before, new_plan_name: after },
    actor: await readEventActor(transaction, requestedBy),
    at: clock.now(),
  });
}

/** Goes back to the plan that the server ran with. Answers the failure to end with. */
async function keepOldPlan(
  { database, logger }: ControlContext,
  host: ServerHost,
  { addonId, error }: { addonId: AddonFacts["id"]; error: TidemarkError },
): Promise<TidemarkError> {
  await database.db.updateTable("addons").set({ next_plan_name: null }).where("id", "=", addonId).execute();
  try {
    await host.withServer(addonId, async (server) => {
      await server.restart("Its plan could not be changed: it restarts with the old one");
    });
  } catch (second) {
    logger.error({ addon: addonId, error: asTidemarkError(second).message }, "a server didn't go back to its old plan");
  }
  return new TidemarkError("conflict", `The plan was not changed, the old one stays: ${error.message}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

function currentPlan(plans: PlanCatalogue, addon: AddonFacts): BackupPlan {
  const plan = plans.find(addon.plan_name);
  if (plan === undefined) throw new TidemarkError("bug", `The plan "${addon.plan_name}" is not in the list of plans`);
  return plan;
}
