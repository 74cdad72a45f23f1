import { createRoute, z } from "@hono/zod-openapi";
import { answer } from "./api-schemas.ts";
import type { Router } from "./context.ts";

const listStacks = createRoute({
  operationId: "listStacks",
  method: "get",
  path: "/v1/features/stacks",
  summary: "List the stacks that code runs on: none, since nothing is deployed here",
  security: [],
  responses: { 200: answer("Always empty", z.object({ stacks: z.array(z.object({ id: z.string() })) })) },
});

/** Clients ask for it when they show an app. */
export function registerStacks(router: Router): void {
  router.openapi(listStacks, (c) => c.json({ stacks: [] }, 200));
}
