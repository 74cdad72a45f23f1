import { createRoute, z } from "@hono/zod-openapi";
import type { Variable } from "../control/model.ts";
import { answer, refusals } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { pathName } from "./validation.ts";

const VariableJson = z
  .object({ id: z.string(), name: z.string(), value: z.string() })
  .openapi("Variable", { description: "An environment variable of an app" });

const listVariables = createRoute({
  operationId: "listVariables",
  method: "get",
  path: "/v1/apps/{app}/variables",
  summary: "List an app's variables",
  ...byUser,
  request: {
    params: z.object({ app: pathName }),
    query: z.object({
      aliases: z.enum(["true", "false"], { error: "must be true or false" }).default("true").openapi({
        description: "`false` replaces a value such as `$SCALINGO_POSTGRESQL_URL` by that variable's value",
      }),
    }),
  },
  responses: {
    200: answer("The variables", z.object({ variables: z.array(VariableJson) })),
    ...refusals(401, 404, 422),
  },
});

export function registerVariables(router: Router): void {
  router.openapi(listVariables, async (c) => {
    const expandAliases = c.req.valid("query").aliases === "false";
    const { app } = c.req.valid("param");
    const variables = await c.var.face.services.apps.variables(c.var.principal, app, { expandAliases });
    return c.json({ variables: variables.map(viewVariable) }, 200);
  });
}

function viewVariable({ id, name, value }: Variable): z.infer<typeof VariableJson> {
  return { id, name, value };
}
