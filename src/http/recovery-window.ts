import { createRoute, z } from "@hono/zod-openapi";
import type { RecoveryWindow } from "../control/model.ts";
import { answer, bodyRefusals, refusals } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName } from "./validation.ts";

const preciseTimestamp = z
  .string()
  .nullable()
  .openapi({ format: "date-time", description: "UTC, with microseconds", example: "2026-03-14T02:10:00.123456Z" });

const RecoveryWindowJson = z
  .object({
    earliest_recoverable_at: preciseTimestamp,
    latest_recoverable_at: preciseTimestamp,
    holes: z.array(z.object({ from: preciseTimestamp, to: preciseTimestamp })).openapi({
      description:
        "Where log was lost: no moment between can be restored; `to` is null until a base backup closes the hole",
    }),
    branches: z
      .array(
        z.object({
          id: z.string(),
          timeline: z.int().nullable().openapi({ description: "By which a restore names the branch" }),
          is_live: z.boolean(),
          earliest_recoverable_at: preciseTimestamp,
          latest_recoverable_at: preciseTimestamp,
        }),
      )
      .openapi({ description: "Histories of the cluster, newest first; the first goes on" }),
    stream: z
      .object({ state: z.string(), reason: z.string().nullable(), stored_lsn: z.string().nullable() })
      .nullable()
      .openapi({ description: "What the receiver of the write-ahead log does now" }),
    base_backups: z.int(),
    newest_base_backups: z
      .array(
        z.object({
          id: z.string(),
          branch_id: z.string(),
          timeline: z.int(),
          started_at: z.string().openapi({ format: "date-time" }),
          finished_at: z
            .string()
            .openapi({ format: "date-time", description: "From here on it makes moments restorable" }),
          data_size: z.int().openapi({ description: "Bytes of the data folder" }),
          stored_size: z.int().openapi({ description: "Bytes that are stored of it" }),
        }),
      )
      .openapi({ description: "Newest first; of many, the newest hundred" }),
    protects: z.enum(["database", "chain"]).openapi({
      description:
        "What is kept safe when backups stall for long: the database (log may be lost) or the chain (the disk may fill)",
    }),
  })
  .openapi("RecoveryWindow");

const showRecoveryWindow = createRoute({
  operationId: "showRecoveryWindow",
  method: "get",
  path: "/api/databases/{addon}/pitr/recovery_window",
  summary: "Show which moments of a database can be restored",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }) },
  responses: {
    200: answer("The window", z.object({ recovery_window: RecoveryWindowJson })),
    ...refusals(401, 404),
  },
});

export function registerRecoveryWindow(router: Router): void {
  router.openapi(showRecoveryWindow, async (c) => {
    const { services } = c.var.face;
    const window = await services.databases.recoveryWindow(c.var.caller, c.req.valid("param").addon);
    return c.json({ recovery_window: viewRecoveryWindow(window) }, 200);
  });
  router.openapi(protectDatabase, async (c) => {
    const { services } = c.var.face;
    const { protects } = c.req.valid("json").pitr;
    const window = await services.databases.protect(c.var.caller, c.req.valid("param").addon, protects);
    return c.json({ recovery_window: viewRecoveryWindow(window) }, 200);
  });
}

const protectDatabase = createRoute({
  operationId: "protectDatabase",
  method: "patch",
  path: "/api/databases/{addon}/pitr",
  summary: "Choose what is kept safe when continuous backups stall for long",
  ...byDatabaseToken,
  request: {
    params: z.object({ addon: pathName }),
    body: jsonBody(fields({ pitr: fields({ protects: z.enum(["database", "chain"]) }) })),
  },
  responses: {
    200: answer("The window", z.object({ recovery_window: RecoveryWindowJson })),
    ...bodyRefusals(401, 404),
  },
});

function viewRecoveryWindow(window: RecoveryWindow): z.infer<typeof RecoveryWindowJson> {
  return {
    earliest_recoverable_at: window.earliestRecoverableAt,
    latest_recoverable_at: window.latestRecoverableAt,
    holes: window.holes.map(({ from, to }) => ({ from, to })),
    branches: window.branches.map((branch) => ({
      id: branch.id,
      timeline: branch.timeline,
      is_live: branch.isLive,
      earliest_recoverable_at: branch.earliestRecoverableAt,
      latest_recoverable_at: branch.latestRecoverableAt,
    })),
    stream:
      window.stream === null
        ? null
        : { state: window.stream.state, reason: window.stream.reason, stored_lsn: window.stream.storedLsn },
    base_backups: window.baseBackups,
    newest_base_backups: window.newestBaseBackups.map((base) => ({
      id: base.id,
      branch_id: base.branchId,
      timeline: base.timeline,
      started_at: base.startedAt,
      finished_at: base.finishedAt,
      data_size: base.dataBytes,
      stored_size: base.storedBytes,
    })),
    protects: window.protects,
  };
}
