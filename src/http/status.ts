import { createRoute, z } from "@hono/zod-openapi";
import type { DatabaseHealth, HealthCheck } from "../control/health-service.ts";
import { answer, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import { BackupJson, viewBackup } from "./backups.ts";
import type { Router } from "./context.ts";
import { CheckJson, viewCheck } from "./health.ts";

const optionalBytes = z.int().nullable();

export const DatabaseStatusJson = z
  .object({
    app: z.string(),
    owner: z.string(),
    addon_id: z.string(),
    resource_id: z.string(),
    plan: z.string(),
    status: z.enum(["creating", "running", "stopped"]),
    status_reason: z.string().nullable(),
    last_backup: BackupJson.nullable(),
    last_good_backup: BackupJson.nullable(),
    next_backup_at: optionalTimestamp.openapi({ description: "In the past when one is due and waits" }),
    restorable: z
      .object({
        from: timestamp,
        to: timestamp,
        lag_seconds: z.number().nullable().openapi({ description: "Null while the server is stopped" }),
      })
      .nullable()
      .openapi({ description: "Any moment between can be restored, holes aside; null while nothing can" }),
    continuous: z.object({
      state: z.enum(["healthy", "delayed", "stale"]),
      since: optionalTimestamp,
      lag_bytes: optionalBytes,
      retained_wal_bytes: optionalBytes,
    }),
    is_restorable: z.boolean().openapi({ description: "Backed up as its plan promises" }),
    problems: z.array(z.object({ code: z.string(), text: z.string() })).openapi({ description: "Most urgent first" }),
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
        platform: z.object({
          version: z.string(),
          state: z.enum(["starting", "ready", "stopping"]),
          health_check: CheckJson,
        }),
        databases: z.array(DatabaseStatusJson),
      }),
    ),
    ...refusals(401),
  },
});

export function registerStatus(router: Router): void {
  router.openapi(showStatus, async (c) => {
    const { services, state, version } = c.var.face;
    const databases = await services.health.ofUser(c.var.principal);
    const check: HealthCheck = await services.health.check();
    const platform = { version, state: state(), health_check: viewCheck(check) };
    return c.json({ platform, databases: databases.map(viewHealth) }, 200);
  });
}

export function viewHealth(health: DatabaseHealth): z.infer<typeof DatabaseStatusJson> {
  const { window, continuous } = health;
  return {
    app: health.appName,
    owner: health.ownerName,
    addon_id: health.addonId,
    resource_id: health.resourceId,
    plan: health.planName,
    status: health.status,
    status_reason: health.statusReason,
    last_backup: health.lastBackup === null ? null : viewBackup(health.lastBackup),
    last_good_backup: health.lastGoodBackup === null ? null : viewBackup(health.lastGoodBackup),
    next_backup_at: health.nextBackupAt?.toISOString() ?? null,
    restorable:
      window === null
        ? null
        : {
            from: window.from.toISOString(),
            to: window.to.toISOString(),
            lag_seconds: window.lagMs === null ? null : window.lagMs / 1000,
          },
    continuous: {
      state: continuous.state,
      since: continuous.since?.toISOString() ?? null,
      lag_bytes: continuous.lagBytes,
      retained_wal_bytes: continuous.retainedWalBytes,
    },
    is_restorable: health.isRestorable,
    problems: health.problems.map(({ code, text }) => ({ code, text })),
  };
}
