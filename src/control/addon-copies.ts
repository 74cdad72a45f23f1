import { sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newAddonId, newObjectId } from "../core/ids.ts";
import { parseTarget } from "../restore/target-text.ts";
import { type AddonFacts, findAddon, findApp } from "./access.ts";
import type { AddonCopy, AddonCopyService, AddonCopyWish } from "./addon-copy-service.ts";
import { addonOf, insertNewAddon, newDatabaseSecrets, requirePlan } from "./addons.ts";
import type { ControlContext } from "./context.ts";
import type { Principal } from "./model.ts";
import { insertOperation } from "./operations.ts";
import { readRecoveryWindow } from "./recovery-window.ts";
import { variableNames } from "./variables.ts";

export function createAddonCopyService(context: ControlContext): AddonCopyService {
  const { db } = context.database;
  return {
    create: (principal, app, addon, wish) => createCopy(context, principal, { app, addon, wish }),
    async show(principal, word, copyId) {
      const app = await findApp(db, principal, word, "read");
      return await readCopy(context, app.id, copyId);
    },
  };
}

async function createCopy(
  context: ControlContext,
  principal: Principal,
  input: { app: string; addon: string; wish: AddonCopyWish },
): ReturnType<AddonCopyService["create"]> {
  const { database, clock, queue } = context;
  const { wish } = input;
  const app = await findApp(database.db, principal, input.app, "manage");
  const source = await findAddon(database.db, app, input.addon);
  requireReadable(wish);
  await requireContinuousBackup(context, source);
  const [id, operationId] = [newAddonId(), newObjectId(clock.now())];
  const secrets = await newDatabaseSecrets(context);
  const place = await database.db.transaction().execute(async (transaction) => {
    const made = await insertNewAddon(context, transaction, {
      id,
      app,
      plan: requirePlan(context.plans, source.plan_name),
      name: wish.name,
      // Its data folder is of the source's version, and lies on the source's machine.
      server: { hostId: source.host_id, major: source.major },
      secrets,
      principal,
    });
    const operation = await insertOperation(transaction, {
      id: operationId,
      kind: "addon_copy",
      addonId: id,
      requestedBy: principal.userId,
    });
    await transaction
      .insertInto("addon_copies")
      .values({
        operation_id: operationId,
        addon_id: id,
        source_addon_id: source.id,
        target: wish.target,
        is_exclusive: wish.isExclusive,
        branch: wish.branch,
      })
      .execute();
    await queue.send(operation, source.host_id, transaction);
    return made;
  });
  return {
    copy: await readCopy(context, app.id, operationId),
    addon: addonOf(context.plans, await findAddon(database.db, app, id)),
    variables: variableNames({ addonName: place.name, resourceId: place.resourceId }, place.place).map(
      ({ name }) => name,
    ),
  };
}

function requireReadable({ target, isExclusive }: AddonCopyWish): void {
  try {
    parseTarget(target, { isExclusive });
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.kind !== "user") throw error;
    throw new TidemarkError("invalid_fields", `Cannot restore to "${target}": ${error.message}`, {
      fields: { target: [error.message] },
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}

async function requireContinuousBackup({ database }: ControlContext, source: AddonFacts): Promise<void> {
  const { earliestRecoverableAt } = await readRecoveryWindow(database.db, source.id);
  if (earliestRecoverableAt !== null) return;
  throw new TidemarkError("conflict", `${source.resource_id} has no continuous backup yet to make a database from`, {
    hint: "tidemark database-pitr-recovery-window shows when it has one.",
  });
}

async function readCopy({ database }: ControlContext, appId: string, copyId: string): Promise<AddonCopy> {
  const row = await database.db
    .selectFrom("addon_copies")
    .innerJoin("operations", "operations.id", "addon_copies.operation_id")
    .innerJoin("addons", "addons.id", "addon_copies.addon_id")
    .selectAll("addon_copies")
    .select([
      "addons.resource_id",
      "operations.state",
      "operations.progress_bytes",
      "operations.created_at",
      "operations.ended_at",
      "operations.error_code",
      "operations.error_message",
      "operations.error_hint",
    ])
    .where(sql`addon_copies.operation_id`, "=", copyId)
    .where(sql`addons.app_id`, "=", appId)
    .executeTakeFirst();
  if (row === undefined) throw new TidemarkError("not_found", `There is no copy "${copyId}"`);
  return {
    id: row.operation_id,
    addonId: row.addon_id,
    resourceId: row.resource_id,
    sourceAddonId: row.source_addon_id,
    target: row.target,
    status: row.state,
    progressBytes: row.progress_bytes,
    totalBytes: row.total_bytes,
    targetLsn: row.target_lsn,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    error:
      row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "", hint: row.error_hint },
  };
}
