import type { Kysely, Selectable } from "kysely";
import { sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import { findAddonOfCaller } from "./access.ts";
import type { ControlContext } from "./context.ts";
import type { Maintenance, MaintenanceService, MaintenanceWindow } from "./database-services.ts";
import { recordDatabaseEvent } from "./events.ts";
import type { ControlSchema, MaintenanceTable } from "./schema.ts";

export function createMaintenanceService(context: ControlContext): MaintenanceService {
  const { db } = context.database;
  return {
    async list(caller, word, { page, perPage }) {
      const addon = await findAddonOfCaller(db, caller, word, "read");
      const rows = await db
        .selectFrom("maintenances")
        .selectAll()
        .where("addon_id", "=", addon.id)
        .orderBy("id", "desc")
        .limit(perPage)
        .offset((page - 1) * perPage)
        .execute();
      const { count } = await db
        .selectFrom("maintenances")
        .select((row) => row.fn.countAll<number>().as("count"))
        .where("addon_id", "=", addon.id)
        .executeTakeFirstOrThrow();
      return { items: rows.map(maintenanceOf), totalCount: count, page, perPage };
    },
    async show(caller, word, maintenanceId) {
      const addon = await findAddonOfCaller(db, caller, word, "read");
      const row = await db
        .selectFrom("maintenances")
        .selectAll()
        .where("addon_id", "=", addon.id)
        .where(sql<string>`id`, "=", maintenanceId)
        .executeTakeFirst();
      if (row !== undefined) return maintenanceOf(row);
      throw new TidemarkError("not_found", `There is no maintenance "${maintenanceId}"`, {
        hint: "tidemark database-maintenance-list shows them.",
      });
    },
    async setWindow(caller, word, change) {
      const addon = await findAddonOfCaller(db, caller, word, "manage");
      await db.transaction().execute(async (transaction) => {
        const window = { ...(await readMaintenanceWindow(transaction, addon.id)), ...change };
        await transaction
          .updateTable("databases")
          .set({
            maintenance_weekday_utc: window.weekdayUtc,
            maintenance_hour_utc: window.startingHourUtc,
            maintenance_duration_hours: window.durationHours,
          })
          .where("addon_id", "=", addon.id)
          .execute();
        await recordDatabaseEvent(transaction, addon, {
          type: "database_maintenance_window_changed",
          data: { weekday_utc: window.weekdayUtc, starting_hour_utc: window.startingHourUtc },
          actor: caller.principal,
          at: context.clock.now(),
        });
      });
    },
  };
}

export async function readMaintenanceWindow(db: Kysely<ControlSchema>, addonId: AddonId): Promise<MaintenanceWindow> {
  const row = await db
    .selectFrom("databases")
    .select(["maintenance_weekday_utc", "maintenance_hour_utc", "maintenance_duration_hours"])
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  return {
    weekdayUtc: row.maintenance_weekday_utc,
    startingHourUtc: row.maintenance_hour_utc,
    durationHours: row.maintenance_duration_hours,
  };
}

function maintenanceOf(row: Selectable<MaintenanceTable>): Maintenance {
  return {
    id: row.id,
    addonId: row.addon_id,
    type: row.type,
    status: row.status,
    reason: row.reason,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}
