import { createRoute, z } from "@hono/zod-openapi";
import type { Maintenance } from "../control/database-services.ts";
import { answer, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { PageMeta, pageQuery, pageRequest, viewPageMeta } from "./pages.ts";
import { pathName } from "./validation.ts";

const MaintenanceJson = z
  .object({
    id: z.string(),
    database_id: z.string(),
    type: z.enum(["minor_upgrade", "restart"]),
    status: z.enum(["scheduled", "running", "done", "failed", "cancelled"]),
    reason: z.string().openapi({ description: "What needs it" }),
    created_at: timestamp,
    started_at: optionalTimestamp,
    ended_at: optionalTimestamp,
  })
  .openapi("Maintenance");
/** At the root for one client of the API, below a key for another. */
const OneMaintenance = MaintenanceJson.extend({ maintenance: MaintenanceJson }).openapi("OneMaintenance");

const listMaintenances = createRoute({
  operationId: "listMaintenances",
  method: "get",
  path: "/api/databases/{addon}/maintenance",
  summary: "List what waits for the maintenance window, and what was done in it, newest first",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }), query: pageQuery },
  responses: {
    200: answer("One page", z.object({ maintenance: z.array(MaintenanceJson), meta: PageMeta })),
    ...refusals(401, 404, 422),
  },
});

const showMaintenance = createRoute({
  operationId: "showMaintenance",
  method: "get",
  path: "/api/databases/{addon}/maintenance/{maintenance}",
  summary: "Show one maintenance",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName, maintenance: pathName }) },
  responses: { 200: answer("The maintenance", OneMaintenance), ...refusals(401, 404) },
});

export function registerMaintenances(router: Router): void {
  router.openapi(listMaintenances, async (c) => {
    const { maintenances } = c.var.face.services;
    const page = pageRequest(c.req.valid("query"));
    const found = await maintenances.list(c.var.caller, c.req.valid("param").addon, page);
    return c.json({ maintenance: found.items.map(viewMaintenance), meta: viewPageMeta(found) }, 200);
  });
  router.openapi(showMaintenance, async (c) => {
    const { addon, maintenance: id } = c.req.valid("param");
    const shown = viewMaintenance(await c.var.face.services.maintenances.show(c.var.caller, addon, id));
    return c.json({ ...shown, maintenance: shown }, 200);
  });
}

function viewMaintenance(maintenance: Maintenance): z.infer<typeof MaintenanceJson> {
  return {
    id: maintenance.id,
    database_id: maintenance.addonId,
    type: maintenance.type,
    status: maintenance.status,
    reason: maintenance.reason,
    created_at: maintenance.createdAt.toISOString(),
    started_at: maintenance.startedAt?.toISOString() ?? null,
    ended_at: maintenance.endedAt?.toISOString() ?? null,
  };
}
