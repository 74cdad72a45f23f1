import { createRoute, z } from "@hono/zod-openapi";
import type { LogicalRestore } from "../control/logical-restore-service.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName } from "./validation.ts";

const ObjectJson = z.object({
  object: z.string().openapi({ description: "As pg_restore lists it: `TABLE public orders`" }),
  outcome: z.enum(["restored", "failed", "kept", "unknown"]).openapi({
    description: "`kept`: it was there already, and is as it was; `unknown`: the restore ended before its end",
  }),
  reason: z.string().nullable(),
});

const LogicalRestoreJson = z
  .object({
    id: z.string(),
    database_id: z.string().openapi({ description: "The database that it goes into" }),
    resource_id: z.string(),
    source_database_id: z.string(),
    backup_id: z.string(),
    operation_id: z.string(),
    status: z.enum(["scheduled", "running", "done", "error"]).openapi({
      description: "`done` only when no object failed",
    }),
    progress_bytes: z.int().openapi({ description: "Bytes of the dump read so far, uncompressed" }),
    total_bytes: z.int().nullable(),
    counts: z.object({ restored: z.int(), failed: z.int(), kept: z.int(), unknown: z.int() }).nullable(),
    objects: z
      .array(ObjectJson)
      .nullable()
      .openapi({ description: "Once it has ended, failures first; null in lists" }),
    created_at: timestamp,
    started_at: optionalTimestamp,
    ended_at: optionalTimestamp,
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
  })
  .openapi("LogicalRestore");

const addonParams = z.object({ addon: pathName });
const restoreParams = z.object({ restore: pathName });
const OneRestore = z.object({ logical_restore: LogicalRestoreJson });

const createLogicalRestore = createRoute({
  operationId: "createLogicalRestore",
  method: "post",
  path: "/api/databases/{addon}/backups/{backup}/restore",
  summary: "Restore a logical backup into its database, or into another one: what it holds is replaced",
  ...byDatabaseToken,
  request: {
    params: z.object({ addon: pathName, backup: pathName }),
    body: jsonBody(
      fields({
        restore: fields({
          to: pathName.nullish().openapi({
            description:
              "Id or resource id of the database to restore into, which the token must open; by default its own",
          }),
        }),
      }),
    ),
  },
  responses: { 201: answer("Scheduled", OneRestore), ...bodyRefusals(401, 403, 404, 409) },
});

const listLogicalRestores = createRoute({
  operationId: "listLogicalRestores",
  method: "get",
  path: "/api/databases/{addon}/logical_restores",
  summary: "List the restores of logical backups into a database, newest first",
  ...byDatabaseToken,
  request: { params: addonParams },
  responses: {
    200: answer("The restores", z.object({ logical_restores: z.array(LogicalRestoreJson) })),
    ...refusals(401, 404),
  },
});

const showLogicalRestore = createRoute({
  operationId: "showLogicalRestore",
  method: "get",
  path: "/api/logical_restores/{restore}",
  summary: "Show a restore of a logical backup, with what became of every object",
  ...byDatabaseToken,
  request: { params: restoreParams },
  responses: { 200: answer("The restore", OneRestore), ...refusals(401, 404) },
});

const cancelLogicalRestore = createRoute({
  operationId: "cancelLogicalRestore",
  method: "post",
  path: "/api/logical_restores/{restore}/cancel",
  summary: "Cancel a scheduled or running restore of a logical backup; what it has restored stays",
  ...byDatabaseToken,
  request: { params: restoreParams },
  responses: {
    200: answer("It ends as an error with the code `cancelled`", OneRestore),
    ...refusals(401, 403, 404, 409),
  },
});

export function registerLogicalRestores(router: Router): void {
  router.openapi(createLogicalRestore, async (c) => {
    const { addon, backup } = c.req.valid("param");
    const { to } = c.req.valid("json").restore;
    const { logicalRestores } = c.var.face.services;
    const restore = await logicalRestores.create(c.var.caller, addon, { backupId: backup, to: to ?? null });
    return c.json({ logical_restore: viewLogicalRestore(restore) }, 201);
  });
  router.openapi(listLogicalRestores, async (c) => {
    const restores = await c.var.face.services.logicalRestores.list(c.var.caller, c.req.valid("param").addon);
    return c.json({ logical_restores: restores.map(viewLogicalRestore) }, 200);
  });
  router.openapi(showLogicalRestore, async (c) => {
    const restore = await c.var.face.services.logicalRestores.show(c.var.caller, c.req.valid("param").restore);
    return c.json({ logical_restore: viewLogicalRestore(restore) }, 200);
  });
  router.openapi(cancelLogicalRestore, async (c) => {
    const restore = await c.var.face.services.logicalRestores.cancel(c.var.caller, c.req.valid("param").restore);
    return c.json({ logical_restore: viewLogicalRestore(restore) }, 200);
  });
}

function viewLogicalRestore(restore: LogicalRestore): z.infer<typeof LogicalRestoreJson> {
  return {
    id: restore.id,
    database_id: restore.addonId,
    resource_id: restore.resourceId,
    source_database_id: restore.sourceAddonId,
    backup_id: restore.backupId,
    operation_id: restore.operationId,
    status: restore.status,
    progress_bytes: restore.progressBytes,
    total_bytes: restore.totalBytes,
    counts: restore.counts,
    objects: restore.objects === null ? null : restore.objects.map((object) => ({ ...object })),
    created_at: restore.createdAt.toISOString(),
    started_at: restore.startedAt?.toISOString() ?? null,
    ended_at: restore.endedAt?.toISOString() ?? null,
    error: restore.error,
  };
}
