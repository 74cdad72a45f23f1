import { createRoute, z } from "@hono/zod-openapi";
import type { Backup } from "../control/model.ts";
import { answer, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { pathName } from "./validation.ts";

export const BackupJson = z
  .object({
    id: z.string(),
    database_id: z.string(),
    method: z.enum(["periodic", "manual"]),
    status: z.enum(["scheduled", "running", "done", "error"]),
    name: z.string().nullable(),
    size: z.int().nullable().openapi({ description: "Bytes of the archive, once it is done" }),
    progress_bytes: z.int().openapi({ description: "Bytes dumped so far, uncompressed" }),
    created_at: timestamp,
    started_at: optionalTimestamp,
    ended_at: optionalTimestamp,
    kept_until: optionalTimestamp.openapi({ description: "Not removed before; null where no date is set" }),
    kept_because: z
      .string()
      .nullable()
      .openapi({ description: "Why the plan keeps it; null once it goes, and in answers about something else" }),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
  })
  .openapi("Backup");

const addonParams = z.object({ addon: pathName });
const backupParams = z.object({ addon: pathName, backup: pathName });
const OneBackup = z.object({ database_backup: BackupJson });

const listBackups = createRoute({
  operationId: "listBackups",
  method: "get",
  path: "/api/databases/{addon}/backups",
  summary: "List the logical backups of a database, newest first; also those that a removed one left",
  ...byDatabaseToken,
  request: { params: addonParams },
  responses: {
    200: answer("The backups", z.object({ database_backups: z.array(BackupJson) })),
    ...refusals(401, 404),
  },
});

const createBackup = createRoute({
  operationId: "createBackup",
  method: "post",
  path: "/api/databases/{addon}/backups",
  summary: "Start a logical backup",
  ...byDatabaseToken,
  request: { params: addonParams },
  responses: { 201: answer("Scheduled", OneBackup), ...refusals(401, 404, 409) },
});

const showBackup = createRoute({
  operationId: "showBackup",
  method: "get",
  path: "/api/backups/{backup}",
  summary: "Show a backup",
  ...byDatabaseToken,
  request: { params: z.object({ backup: pathName }) },
  responses: { 200: answer("The backup", OneBackup), ...refusals(401, 404) },
});

const cancelBackup = createRoute({
  operationId: "cancelBackup",
  method: "post",
  path: "/api/databases/{addon}/backups/{backup}/cancel",
  summary: "Cancel a scheduled or running backup",
  ...byDatabaseToken,
  request: { params: backupParams },
  responses: { 200: answer("Ended as an error with the code `cancelled`", OneBackup), ...refusals(401, 404, 409) },
});

const linkArchive = createRoute({
  operationId: "linkArchive",
  method: "get",
  path: "/api/databases/{addon}/backups/{backup}/archive",
  summary: "Get an address that downloads the archive without a token, for a while",
  ...byDatabaseToken,
  request: { params: backupParams },
  responses: { 200: answer("The address", z.object({ download_url: z.url() })), ...refusals(401, 404, 409) },
});

export function registerBackups(router: Router): void {
  router.openapi(listBackups, async (c) => {
    const backups = await c.var.face.services.backups.list(c.var.caller, c.req.valid("param").addon);
    return c.json({ database_backups: backups.map(viewBackup) }, 200);
  });
  router.openapi(createBackup, async (c) => {
    const backup = await c.var.face.services.backups.create(c.var.caller, c.req.valid("param").addon);
    return c.json({ database_backup: viewBackup(backup) }, 201);
  });
  router.openapi(showBackup, async (c) => {
    const backup = await c.var.face.services.backups.show(c.var.caller, c.req.valid("param").backup);
    return c.json({ database_backup: viewBackup(backup) }, 200);
  });
  router.openapi(cancelBackup, async (c) => {
    const { addon, backup } = c.req.valid("param");
    const cancelled = await c.var.face.services.backups.cancel(c.var.caller, addon, backup);
    return c.json({ database_backup: viewBackup(cancelled) }, 200);
  });
  router.openapi(linkArchive, async (c) => {
    const { addon, backup } = c.req.valid("param");
    const link = await c.var.face.services.backups.archiveLink(c.var.caller, addon, backup);
    return c.json({ download_url: link }, 200);
  });
}

export function viewBackup(backup: Backup): z.infer<typeof BackupJson> {
  return {
    id: backup.id,
    database_id: backup.addonId,
    method: backup.method,
    status: backup.status,
    name: backup.name,
    size: backup.sizeBytes,
    progress_bytes: backup.progressBytes,
    created_at: backup.createdAt.toISOString(),
    started_at: backup.startedAt?.toISOString() ?? null,
    ended_at: backup.endedAt?.toISOString() ?? null,
    kept_until: backup.retention?.keptUntil?.toISOString() ?? null,
    kept_because: backup.retention?.isKept === true ? backup.retention.reason : null,
    error: backup.error,
  };
}
