import { createRoute, z } from "@hono/zod-openapi";
import type { DatabaseSample } from "../control/model.ts";
import { answer, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { pathName } from "./validation.ts";

const DatabaseSampleJson = z
  .object({
    at: timestamp.openapi({ description: "Where the ten minutes begin that it stands for" }),
    lag_seconds: z.number().nullable().openapi({
      description: "How far the newest restorable moment was behind, at most; null while the server was stopped",
    }),
    size: z.int().nullable().openapi({ description: "Bytes of the data" }),
  })
  .openapi("DatabaseSample");

const listDatabaseSamples = createRoute({
  operationId: "listDatabaseSamples",
  method: "get",
  path: "/api/databases/{addon}/samples",
  summary: "How a database's lag and size went in the last seven days",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }) },
  responses: {
    200: answer("One for ten minutes, oldest first", z.object({ samples: z.array(DatabaseSampleJson) })),
    ...refusals(401, 404),
  },
});

export function registerDatabaseSamples(router: Router): void {
  router.openapi(listDatabaseSamples, async (c) => {
    const samples = await c.var.face.services.databases.samples(c.var.caller, c.req.valid("param").addon);
    return c.json({ samples: samples.map(viewSample) }, 200);
  });
}

function viewSample({ at, lagMs, sizeBytes }: DatabaseSample): z.infer<typeof DatabaseSampleJson> {
  return { at: at.toISOString(), lag_seconds: lagMs === null ? null : lagMs / 1000, size: sizeBytes };
}
