import { createRoute, z } from "@hono/zod-openapi";
import type { PointInTimeOperation, PointInTimePlan, RestoreWish } from "../control/point-in-time-service.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** The longest moment: a restore point's name, with what says that it is one. */
const MOMENT_CHARS_MAX = 200;

const Transaction = z.object({ xid: z.int().nullable(), lsn: z.string(), time: z.string() });
const PlanJson = z
  .object({
    planned_at: timestamp,
    timeline: z.int(),
    target: z.object({
      lsn: z.string(),
      end_lsn: z.string(),
      last_commit: Transaction.nullable().openapi({ description: "The last commit that is in" }),
      first_left_out: Transaction.nullable(),
    }),
    base_backup: z.object({ id: z.string(), finished_at: z.string() }),
    wal_segments: z.int(),
    wal_bytes: z.int(),
    fetch_bytes: z.int(),
    disk_bytes: z.int(),
    memory_bytes: z.int(),
    estimated_seconds: z.int().openapi({ description: "Until the swap, while the database goes on" }),
    prepared_transactions: z.array(z.object({ xid: z.int(), gid: z.string(), prepared_at: z.string() })),
    losses: z.array(z.string()),
    notes: z.array(z.string()),
    undo_hours: z.int().openapi({ description: "How long it can be undone; 0 when the disk has no room for that" }),
  })
  .openapi("PointInTimePlan");

const OperationJson = z
  .object({
    id: z.string(),
    type: z.enum(["pitr_plan", "pitr_restore", "pitr_undo"]),
    status: z.enum(["scheduled", "running", "done", "error"]),
    phase: z.enum([
      "scheduled",
      "planned",
      "fetching",
      "replaying",
      "paused-at-target",
      "built",
      "swapping",
      "starting",
      "done",
    ]),
    plan: PlanJson.nullable(),
    progress: z.object({
      done_bytes: z.int(),
      total_bytes: z.int(),
      replayed_lsn: z.string().nullable(),
      replayed_until: optionalTimestamp,
    }),
    timeline: z.int().nullable().openapi({ description: "The branch that the database is on afterwards" }),
    downtime_ms: z.int().nullable(),
    undo_until: optionalTimestamp,
    notes: z.array(z.string()),
    created_at: timestamp,
    started_at: optionalTimestamp,
    finished_at: optionalTimestamp,
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
  })
  .openapi("PointInTimeOperation");

const OneOperation = z.object({ operation: OperationJson });
const Begun = z.object({
  operation: OperationJson,
  operation_id: z.string().openapi({ description: "The same as the operation's own id" }),
});

const Wish = fields({
  restore_time: plainText(MOMENT_CHARS_MAX).openapi({
    description:
      "A time with its zone, `latest`, a position, a transaction's number or a restore point's name; `time:`, `lsn:`, `xid:` or `name:` before it says which",
    example: "2026-07-18T23:00:00+02:00",
  }),
  exclusive: z.boolean({ error: "must be true or false" }).nullish().openapi({
    description: "Leave out what lies exactly there",
  }),
  branch: z
    .int({ error: "must be a timeline's number" })
    .min(1, { error: "must be a timeline's number" })
    .nullish()
    .openapi({ description: "Restore along this timeline; by default along the one that was live at that time" }),
});

const addonParams = z.object({ addon: pathName });
const operationParams = z.object({ addon: pathName, operation: pathName });

const planRestore = createRoute({
  operationId: "planPointInTimeRestore",
  method: "post",
  path: "/api/databases/{addon}/pitr/plan",
  summary: "Find out what a restore to a moment would do; the operation's answer is the plan",
  ...byDatabaseToken,
  request: { params: addonParams, body: jsonBody(Wish) },
  responses: { 201: answer("Begun", Begun), ...bodyRefusals(401, 403, 404, 409) },
});

const restore = createRoute({
  operationId: "restorePointInTime",
  method: "post",
  path: "/api/databases/{addon}/pitr/restore",
  summary: "Restore a database in place to a moment of its recovery window",
  ...byDatabaseToken,
  request: { params: addonParams, body: jsonBody(Wish) },
  responses: { 201: answer("Begun", Begun), ...bodyRefusals(401, 403, 404, 409) },
});

const undo = createRoute({
  operationId: "undoPointInTimeRestore",
  method: "post",
  path: "/api/databases/{addon}/pitr/undo",
  summary: "Put back the data that the last restore replaced",
  ...byDatabaseToken,
  request: { params: addonParams },
  responses: { 201: answer("Begun", Begun), ...refusals(401, 403, 404, 409) },
});

const listOperations = createRoute({
  operationId: "listDatabaseOperations",
  method: "get",
  path: "/api/databases/{addon}/operations",
  summary: "List the last restores in place and their undos, newest first",
  ...byDatabaseToken,
  request: { params: addonParams },
  responses: { 200: answer("The operations", z.object({ operations: z.array(OperationJson) })), ...refusals(401, 404) },
});

const showOperation = createRoute({
  operationId: "showDatabaseOperation",
  method: "get",
  path: "/api/databases/{addon}/operations/{operation}",
  summary: "Show how far a restore in place is",
  ...byDatabaseToken,
  request: { params: operationParams },
  responses: { 200: answer("The operation", OneOperation), ...refusals(401, 403, 404) },
});

const cancelOperation = createRoute({
  operationId: "cancelDatabaseOperation",
  method: "post",
  path: "/api/databases/{addon}/operations/{operation}/cancel",
  summary: "End a restore in place before its swap; the database stays as it is",
  ...byDatabaseToken,
  request: { params: operationParams },
  responses: {
    200: answer("It ends as an error with the code `cancelled`", OneOperation),
    ...refusals(401, 403, 404, 409),
  },
});

export function registerPointInTime(router: Router): void {
  router.openapi(planRestore, async (c) => {
    const { pointInTime } = c.var.face.services;
    return c.json(
      viewBegun(await pointInTime.plan(c.var.caller, c.req.valid("param").addon, wishOf(c.req.valid("json")))),
      201,
    );
  });
  router.openapi(restore, async (c) => {
    const { pointInTime } = c.var.face.services;
    const wish = wishOf(c.req.valid("json"));
    return c.json(viewBegun(await pointInTime.restore(c.var.caller, c.req.valid("param").addon, wish)), 201);
  });
  router.openapi(undo, async (c) => {
    const { pointInTime } = c.var.face.services;
    return c.json(viewBegun(await pointInTime.undo(c.var.caller, c.req.valid("param").addon)), 201);
  });
  router.openapi(listOperations, async (c) => {
    const { pointInTime } = c.var.face.services;
    const operations = await pointInTime.operations(c.var.caller, c.req.valid("param").addon);
    return c.json({ operations: operations.map(viewOperation) }, 200);
  });
  router.openapi(showOperation, async (c) => {
    const { addon, operation: id } = c.req.valid("param");
    const operation = await c.var.face.services.pointInTime.operation(c.var.caller, addon, id);
    return c.json({ operation: viewOperation(operation) }, 200);
  });
  router.openapi(cancelOperation, async (c) => {
    const { addon, operation: id } = c.req.valid("param");
    const operation = await c.var.face.services.pointInTime.cancel(c.var.caller, addon, id);
    return c.json({ operation: viewOperation(operation) }, 200);
  });
}

function wishOf(body: z.infer<typeof Wish>): RestoreWish {
  return { target: body.restore_time, isExclusive: body.exclusive ?? false, branch: body.branch ?? null };
}

function viewBegun(operation: PointInTimeOperation): z.infer<typeof Begun> {
  return { operation: viewOperation(operation), operation_id: operation.id };
}

function viewOperation(operation: PointInTimeOperation): z.infer<typeof OperationJson> {
  const { progress } = operation;
  return {
    id: operation.id,
    type: operation.type,
    status: operation.status,
    phase: operation.phase,
    plan: operation.plan === null ? null : viewPlan(operation.plan),
    progress: {
      done_bytes: progress.doneBytes,
      total_bytes: progress.totalBytes,
      replayed_lsn: progress.replayedLsn,
      replayed_until: progress.replayedUntil?.toISOString() ?? null,
    },
    timeline: operation.timeline,
    downtime_ms: operation.downtimeMs,
    undo_until: operation.undoUntil?.toISOString() ?? null,
    notes: [...operation.notes],
    created_at: operation.createdAt.toISOString(),
    started_at: operation.startedAt?.toISOString() ?? null,
    finished_at: operation.endedAt?.toISOString() ?? null,
    error: operation.error,
  };
}

function viewPlan(plan: PointInTimePlan): z.infer<typeof PlanJson> {
  const { target, base, wal, estimate } = plan;
  return {
    planned_at: plan.plannedAt,
    timeline: plan.timeline,
    target: {
      lsn: target.lsn,
      end_lsn: target.endLsn,
      last_commit: target.lastCommit,
      first_left_out: target.firstLeftOut,
    },
    base_backup: { id: base.backupId, finished_at: base.finishedAt },
    wal_segments: wal.segments,
    wal_bytes: wal.bytes,
    fetch_bytes: plan.fetchBytes,
    disk_bytes: plan.diskBytes,
    memory_bytes: plan.memoryBytes,
    estimated_seconds: estimate.fetchSeconds + estimate.replaySeconds,
    prepared_transactions: plan.prepared.map(({ xid, gid, preparedAt }) => ({ xid, gid, prepared_at: preparedAt })),
    losses: [...plan.losses],
    notes: [...plan.notes],
    undo_hours: plan.undoHours,
  };
}
