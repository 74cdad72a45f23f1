import { createRoute, z } from "@hono/zod-openapi";
import type { QueuedOperation } from "../control/health-service.ts";
import { answer, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { PageMeta, pageQuery, pageRequest, viewPageMeta } from "./pages.ts";
import { DatabaseStatusJson, viewHealth } from "./status.ts";

const OperationJson = z
  .object({
    id: z.string(),
    kind: z.string(),
    app: z.string(),
    resource_id: z.string(),
    state: z.enum(["scheduled", "running", "done", "error"]),
    attempt: z.int(),
    progress_bytes: z.int(),
    created_at: timestamp,
    started_at: optionalTimestamp,
    ended_at: optionalTimestamp,
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
  })
  .openapi("Operation");

const listPlatformDatabases = createRoute({
  operationId: "listPlatformDatabases",
  method: "get",
  path: "/v1/platform/databases",
  summary: "All databases of the platform, worst health first; for its owner",
  ...byUser,
  request: { query: pageQuery },
  responses: {
    200: answer("One page", z.object({ databases: z.array(DatabaseStatusJson), meta: PageMeta })),
    ...refusals(401, 403, 422),
  },
});

const listPlatformOperations = createRoute({
  operationId: "listPlatformOperations",
  method: "get",
  path: "/v1/platform/operations",
  summary: "The platform's long work, newest first; for its owner",
  ...byUser,
  request: {
    query: pageQuery.extend({
      state: z.enum(["open", "done", "error"]).default("open").openapi({ description: "open is scheduled or running" }),
    }),
  },
  responses: {
    200: answer("One page", z.object({ operations: z.array(OperationJson), meta: PageMeta })),
    ...refusals(401, 403, 422),
  },
});

export function registerPlatform(router: Router): void {
  router.openapi(listPlatformDatabases, async (c) => {
    const found = await c.var.face.services.health.ofPlatform(c.var.principal, pageRequest(c.req.valid("query")));
    return c.json({ databases: found.items.map(viewHealth), meta: viewPageMeta(found) }, 200);
  });
  router.openapi(listPlatformOperations, async (c) => {
    const { state, ...page } = c.req.valid("query");
    const found = await c.var.face.services.health.operations(c.var.principal, state, pageRequest(page));
    return c.json({ operations: found.items.map(viewOperation), meta: viewPageMeta(found) }, 200);
  });
}

function viewOperation(operation: QueuedOperation): z.infer<typeof OperationJson> {
  return {
    id: operation.id,
    kind: operation.kind,
    app: operation.appName,
    resource_id: operation.resourceId,
    state: operation.state,
    attempt: operation.attempt,
    progress_bytes: operation.progressBytes,
    created_at: operation.createdAt.toISOString(),
    started_at: operation.startedAt?.toISOString() ?? null,
    ended_at: operation.endedAt?.toISOString() ?? null,
    error: operation.error,
  };
}
