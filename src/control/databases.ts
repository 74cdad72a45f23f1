import { type AddonFacts, findAddonOfCaller } from "./access.ts";
import { planNamed } from "./addons.ts";
import { configureBackups, readPeriodicBackups } from "./backup-schedule.ts";
import type { ControlContext } from "./context.ts";
import { readFeatures } from "./database-features.ts";
import { readSamples } from "./database-samples.ts";
import { recordDatabaseEvent } from "./events.ts";
import { authenticateDatabaseCaller } from "./identity.ts";
import type { JwtKey } from "./jwt.ts";
import { readMaintenanceWindow } from "./maintenances.ts";
import type { Database, RecoveryWindow } from "./model.ts";
import { readRecoveryWindow } from "./recovery-window.ts";
import { requestReconfiguration } from "./server-settings-change.ts";
import type { DatabaseCaller, DatabaseService } from "./services.ts";

export function createDatabaseService(context: ControlContext & { readonly jwtKey: JwtKey }): DatabaseService {
  const { db } = context.database;
  return {
    authenticate: (bearer) => authenticateDatabaseCaller(context, bearer),
    show: (caller, word) => showDatabase(context, caller, word),
    async configureBackups(caller, word, change) {
      await configureBackups(context, caller, { word, change });
      return await showDatabase(context, caller, word);
    },
    async periodicBackups(caller, word) {
      return await readPeriodicBackups(context, await findAddonOfCaller(db, caller, word, "read"));
    },
    async samples(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word, "read");
      return await readSamples(db, addon.id, context.clock.now());
    },
    async recoveryWindow(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word, "read");
      return await readRecoveryWindow(db, addon.id);
    },
    protect: (caller, word, protects) => protectDatabase(context, caller, { word, protects }),
  };
}

async function showDatabase(context: ControlContext, caller: DatabaseCaller, word: string): Promise<Database> {
  const { db } = context.database;
  const addon = await findAddonOfCaller(db, caller, word, "read");
  const operation = await db
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addon.id)
    .where("state", "=", "running")
    // A plan changes nothing, and a swap is part of the restore that waits for it.
    .where("kind", "not in", ["pitr_plan", "pitr_swap"])
    .orderBy("id", "desc")
    .executeTakeFirst();
  const health = await db
    .selectFrom("database_health")
    .select("size_bytes")
    .where("addon_id", "=", addon.id)
    .executeTakeFirst();
  return {
    ...databaseOf(addon, context),
    sizeBytes: health?.size_bytes ?? null,
    features: await readFeatures(db, addon.id),
    maintenanceWindow: await readMaintenanceWindow(db, addon.id),
    currentOperationId: operation?.id ?? null,
  };
}

async function protectDatabase(
  context: ControlContext,
  caller: DatabaseCaller,
  { word, protects }: { word: string; protects: RecoveryWindow["protects"] },
): Promise<RecoveryWindow> {
  const { database } = context;
  const addon = await findAddonOfCaller(database.db, caller, word, "manage");
  await database.db.transaction().execute(async (transaction) => {
    await transaction
      .updateTable("databases")
      .set({ wal_protection: protects })
      .where("addon_id", "=", addon.id)
      .execute();
    await requestReconfiguration(context, transaction, { addon, requestedBy: caller.principal.userId });
    const event = { type: "database_protection_changed", data: { protects }, actor: caller.principal } as const;
    await recordDatabaseEvent(transaction, addon, { ...event, at: context.clock.now() });
  });
  return await readRecoveryWindow(database.db, addon.id);
}

function databaseOf(
  addon: AddonFacts,
  { hostNameOf, plans }: ControlContext,
): Omit<Database, "sizeBytes" | "features" | "maintenanceWindow" | "currentOperationId"> {
  return {
    addonId: addon.id,
    resourceId: addon.resource_id,
    appName: addon.app_name,
    status: addon.status,
    statusReason: addon.status_reason,
    plan: planNamed(plans, addon.plan_name),
    version: addon.version,
    hostname: hostNameOf(addon.resource_id),
    port: addon.port,
    createdAt: addon.created_at,
    periodicBackups: { isEnabled: addon.periodic_backups_enabled, hourUtc: addon.periodic_hour_utc },
  };
}
