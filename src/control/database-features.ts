import type { Kysely } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import { findAddonOfCaller } from "./access.ts";
import type { ControlContext } from "./context.ts";
import { type Feature, FEATURE_NAMES, type FeatureName, type FeatureService } from "./database-services.ts";
import { recordDatabaseEvent } from "./events.ts";
import { requestReconfiguration } from "./server-settings-change.ts";
import type { ControlSchema } from "./schema.ts";

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** @param databaseBind the address on which servers listen. */
export function createFeatureService(context: ControlContext & { readonly databaseBind: string }): FeatureService {
  const { db } = context.database;
  return {
    async enable(caller, word, given) {
      const addon = await findAddonOfCaller(db, caller, word, "manage");
      const name = readFeatureName(given);
      if (name === "publicly-available") requireReachable(context.databaseBind);
      return await db.transaction().execute(async (transaction) => {
        const { numInsertedOrUpdatedRows: added } = await transaction
          .insertInto("database_features")
          .values({ addon_id: addon.id, name, status: "PENDING" })
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirst();
        if (added === 1n) {
          await requestReconfiguration(context, transaction, { addon, requestedBy: caller.principal.userId });
          await recordDatabaseEvent(transaction, addon, {
            type: "database/add_feature",
            data: { feature: name },
            actor: caller.principal,
            at: context.clock.now(),
          });
        }
        const { status } = await transaction
          .selectFrom("database_features")
          .select("status")
          .where("addon_id", "=", addon.id)
          .where("name", "=", name)
          .executeTakeFirstOrThrow();
        return { name, status, message: status === "PENDING" ? "The server is taking it up" : "It is on" };
      });
    },
    async disable(caller, word, given) {
      const addon = await findAddonOfCaller(db, caller, word, "manage");
      const name = readFeatureName(given);
      await db.transaction().execute(async (transaction) => {
        const { numDeletedRows: removed } = await transaction
          .deleteFrom("database_features")
          .where("addon_id", "=", addon.id)
          .where("name", "=", name)
          .executeTakeFirst();
        if (removed === 0n) return;
        await requestReconfiguration(context, transaction, { addon, requestedBy: caller.principal.userId });
        await recordDatabaseEvent(transaction, addon, {
          type: "database/remove_feature",
          data: { feature: name },
          actor: caller.principal,
          at: context.clock.now(),
        });
      });
      return { name, message: "It is off" };
    },
  };
}

/** What is on for a database, by name. */
export async function readFeatures(db: Kysely<ControlSchema>, addonId: AddonId): Promise<Feature[]> {
  return await db
    .selectFrom("database_features")
    .select(["name", "status"])
    .where("addon_id", "=", addonId)
    .orderBy("name")
    .execute();
}

function readFeatureName(given: string): FeatureName {
  const name = FEATURE_NAMES.find((each) => each === given);
  if (name !== undefined) return name;
  throw new TidemarkError("invalid_fields", `There is no feature "${given}"`, {
    fields: { feature: [`is not one of ${FEATURE_NAMES.join(", ")}`] },
  });
}

function requireReachable(bind: string): void {
  if (!LOOPBACK.has(bind)) return;
  throw new TidemarkError("conflict", `Databases of this platform listen on ${bind}, which no other machine reaches`, {
    hint: "The operator sets TIDEMARK_DATABASE_BIND to an address that others reach, and starts the platform again. An SSH tunnel needs neither: tidemark db-tunnel.",
  });
}
