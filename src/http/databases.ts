import { createRoute, z } from "@hono/zod-openapi";
import type { MaintenanceWindow } from "../control/database-services.ts";
import type { Database } from "../control/model.ts";
import { answer, bodyRefusals, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName } from "./validation.ts";

const Feature = z.object({ name: z.string(), status: z.string() }).openapi("DatabaseFeature");
const Instance = z
  .object({
    id: z.string(),
    hostname: z.string(),
    port: z.int().nullable(),
    status: z.enum(["booting", "running", "stopped"]),
    type: z.string(),
    features: z.array(Feature),
    private_ip: z.string().nullable(),
  })
  .openapi("DatabaseInstance");
const DatabaseJson = z
  .object({
    id: z.string(),
    resource_id: z.string(),
    app_name: z.string(),
    created_at: timestamp,
    encryption_at_rest: z.boolean(),
    plan: z.string(),
    status: z.enum(["creating", "running", "stopped"]),
    status_reason: z.string().nullable().openapi({ description: "Why it is not running" }),
    type_id: z.string(),
    type_name: z.string(),
    version_id: z.string().nullable(),
    next_version_id: z.string().nullable(),
    readable_version: z.string().nullable(),
    size: z.int().nullable().openapi({ description: "Bytes of its data, asked every minute; null until then" }),
    hostname: z.string(),
    cluster: z.string(),
    current_operation_id: z.string().nullable(),
    features: z.array(Feature),
    instances: z.array(Instance),
    periodic_backups_enabled: z.boolean(),
    periodic_backups_scheduled_at: z.array(z.int()).openapi({ description: "Hours, UTC" }),
    maintenance_window: z.object({
      weekday_utc: z.int().openapi({ description: "0 is Sunday" }),
      starting_hour_utc: z.int(),
      duration_in_hour: z.int(),
    }),
  })
  .openapi("Database");

const INSTANCE_STATUS = { creating: "booting", running: "running", stopped: "stopped" } as const;

const showDatabase = createRoute({
  operationId: "showDatabase",
  method: "get",
  path: "/api/databases/{addon}",
  summary: "Show a database, by its addon's id",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }) },
  responses: { 200: answer("The database", z.object({ database: DatabaseJson })), ...refusals(401, 404) },
});

const hourUtc = z
  .int({ error: "must be a whole number" })
  .min(0, { error: "must be an hour from 0 to 23" })
  .max(23, { error: "must be an hour from 0 to 23" });
const numberFrom = (from: number, to: number) => {
  const error = `must be a whole number from ${from} to ${to}`;
  return z.int({ error }).min(from, { error }).max(to, { error });
};
const DatabaseChange = fields({
  maintenance_window: fields({
    weekday_utc: numberFrom(0, 6).nullish().openapi({ description: "0 is Sunday; null changes nothing" }),
    starting_hour_utc: numberFrom(0, 23).nullish().openapi({ description: "Null changes nothing" }),
    duration_in_hour: numberFrom(1, 24).nullish().openapi({ description: "Null changes nothing" }),
  })
    .nullish()
    .openapi({ description: "Null changes nothing" }),
  periodic_backups_scheduled_at: hourUtc.nullish().openapi({ description: "An hour, UTC; null changes nothing" }),
  periodic_backups_enabled: z
    .boolean({ error: "must be true or false" })
    .nullish()
    .openapi({ description: "Whether the daily backup is taken; null changes nothing" }),
});

const changeDatabase = createRoute({
  operationId: "changeDatabase",
  method: "patch",
  path: "/api/databases/{addon}",
  summary: "Change when a database is backed up, and when it may be maintained",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }), body: jsonBody(fields({ database: DatabaseChange })) },
  responses: { 200: answer("The database", z.object({ database: DatabaseJson })), ...bodyRefusals(401, 404) },
});

export function registerDatabases(router: Router): void {
  router.openapi(showDatabase, async (c) => {
    const database = await c.var.face.services.databases.show(c.var.caller, c.req.valid("param").addon);
    return c.json({ database: viewDatabase(database, c.var.face.region.name) }, 200);
  });
  router.openapi(changeDatabase, async (c) => {
    const asked = c.req.valid("json").database;
    const { periodic_backups_scheduled_at: hour, periodic_backups_enabled: enabled } = asked;
    const change = {
      ...(hour === undefined || hour === null ? {} : { hourUtc: hour }),
      ...(enabled === undefined || enabled === null ? {} : { isEnabled: enabled }),
    };
    const { databases, maintenances } = c.var.face.services;
    const window = windowChange(asked.maintenance_window ?? {});
    if (Object.keys(window).length > 0) await maintenances.setWindow(c.var.caller, c.req.valid("param").addon, window);
    if (Object.keys(change).length === 0) {
      const shown = await databases.show(c.var.caller, c.req.valid("param").addon);
      return c.json({ database: viewDatabase(shown, c.var.face.region.name) }, 200);
    }
    const database = await databases.configureBackups(c.var.caller, c.req.valid("param").addon, change);
    return c.json({ database: viewDatabase(database, c.var.face.region.name) }, 200);
  });
}

function windowChange(asked: {
  weekday_utc?: number | null | undefined;
  starting_hour_utc?: number | null | undefined;
  duration_in_hour?: number | null | undefined;
}): Partial<MaintenanceWindow> {
  const { weekday_utc: weekdayUtc, starting_hour_utc: startingHourUtc, duration_in_hour: durationHours } = asked;
  return {
    ...(typeof weekdayUtc === "number" ? { weekdayUtc } : {}),
    ...(typeof startingHourUtc === "number" ? { startingHourUtc } : {}),
    ...(typeof durationHours === "number" ? { durationHours } : {}),
  };
}

function viewDatabase(database: Database, region: string): z.infer<typeof DatabaseJson> {
  const { maintenanceWindow: window } = database;
  return {
    id: database.addonId,
    resource_id: database.resourceId,
    app_name: database.appName,
    created_at: database.createdAt.toISOString(),
    encryption_at_rest: false,
    plan: database.plan.name,
    status: database.status,
    status_reason: database.statusReason,
    type_id: "postgresql",
    type_name: "postgresql",
    version_id: database.version,
    next_version_id: null,
    readable_version: database.version,
    size: database.sizeBytes,
    hostname: database.hostname,
    cluster: region,
    current_operation_id: database.currentOperationId,
    features: database.features.map(({ name, status }) => ({ name, status })),
    instances: [viewInstance(database)],
    periodic_backups_enabled: database.periodicBackups.isEnabled,
    periodic_backups_scheduled_at: [database.periodicBackups.hourUtc],
    maintenance_window: {
      weekday_utc: window.weekdayUtc,
      starting_hour_utc: window.startingHourUtc,
      duration_in_hour: window.durationHours,
    },
  };
}

function viewInstance(database: Database): z.infer<typeof Instance> {
  return {
    id: database.addonId,
    hostname: database.hostname,
    port: database.port,
    status: INSTANCE_STATUS[database.status],
    type: "db-node",
    features: [],
    private_ip: null,
  };
}
