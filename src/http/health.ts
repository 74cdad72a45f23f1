import { createRoute, z } from "@hono/zod-openapi";
import type { HealthCheck } from "../control/health-service.ts";
import { answer, optionalTimestamp } from "./api-schemas.ts";
import type { Router } from "./context.ts";

/** The check that looks at every database once a minute. */
export const CheckJson = z
  .object({
    checked_at: optionalTimestamp,
    stalled: z.boolean().openapi({ description: "It hasn't run for minutes: what it would have found is unknown" }),
  })
  .openapi("HealthCheck");

const Health = z
  .object({ status: z.enum(["starting", "ready", "stopping"]), version: z.string(), health_check: CheckJson })
  .openapi("Health");

const showHealth = createRoute({
  operationId: "showHealth",
  method: "get",
  path: "/healthz",
  summary: "Whether the platform is ready, and whether it still looks after its databases",
  security: [],
  responses: { 200: answer("It answers requests", Health), 503: answer("It is stopping", Health) },
});

export function registerHealth(router: Router): void {
  router.openapi(showHealth, async (c) => {
    const { state, version, services } = c.var.face;
    const status = state();
    const check = viewCheck(await services.health.check());
    return c.json({ status, version, health_check: check }, status === "stopping" ? 503 : 200);
  });
}

export function viewCheck({ checkedAt, isStalled }: HealthCheck): z.infer<typeof CheckJson> {
  return { checked_at: checkedAt?.toISOString() ?? null, stalled: isStalled };
}
