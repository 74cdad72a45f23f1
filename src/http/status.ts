import { createRoute, z } from "@hono/zod-openapi";
import type { DatabaseHealth } from "../control/model.ts";
import { answer, refusals } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import { BackupJson, viewBackup } from "./backups.ts";
import type { Router } from "./context.ts";

const DatabaseStatusJson = z
  .object({
    app: z.string(),
    addon_id: z.string(),
    resource_id: z.string(),
    status: z.enum(["creating", "running", "stopped"]),
    status_reason: z.string().nullable(),
    last_backup: BackupJson.nullable(),
    last_good_backup: BackupJson.nullable(),
  })
  .openapi("DatabaseStatus");

const showStatus = createRoute({
  operationId: "showStatus",
  method: "get",
  path: "/v1/status",
  summary: "The platform, and how each of your databases is backed up",
  ...byUser,
  responses: {
    200: answer(
      "By app and order of creation",
      z.object({
        platform: z.object({ version: z.string(), state: z.enum(["starting", "ready", "stopping"]) }),
        databases: z.array(DatabaseStatusJson),
      }),
    ),
    ...refusals(401),
  },
});

export function registerStatus(router: Router): void {
  router.openapi(showStatus, async (c) => {
    const { services, state, version } = c.var.face;
    const databases = await services.databases.health(c.var.principal);
    return c.json({ platform: { version, state: state() }, databases: databases.map(viewHealth) }, 200);
  });
}

function viewHealth(health: DatabaseHealth): z.infer<typeof DatabaseStatusJson> {
  return {
    app: health.appName,
    addon_id: health.addonId,
    resource_id: health.resourceId,
    status: health.status,
    status_reason: health.statusReason,
    last_backup: health.lastBackup === null ? null : viewBackup(health.lastBackup),
    last_good_backup: health.lastGoodBackup === null ? null : viewBackup(health.lastGoodBackup),
  };
}
