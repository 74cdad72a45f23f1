import { createRoute, z } from "@hono/zod-openapi";
import { answer } from "./api-schemas.ts";
import type { Router } from "./context.ts";

const Health = z.object({ status: z.enum(["starting", "ready", "stopping"]), version: z.string() }).openapi("Health");

const showHealth = createRoute({
  operationId: "showHealth",
  method: "get",
  path: "/healthz",
  summary: "Whether the platform is ready",
  security: [],
  responses: { 200: answer("It answers requests", Health), 503: answer("It is stopping", Health) },
});

export function registerHealth(router: Router): void {
  router.openapi(showHealth, (c) => {
    const status = c.var.face.state();
    return c.json({ status, version: c.var.face.version }, status === "stopping" ? 503 : 200);
  });
}
