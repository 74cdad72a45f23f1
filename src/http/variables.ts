import { createRoute, z } from "@hono/zod-openapi";
import type { Variable } from "../control/model.ts";
import { answer, bodyRefusals, refusals } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** A few more than an app may have: what is too many is for the service to say. */
const LIST_LENGTH_MAX = 1000;
const VALUE_CHARACTERS_MAX = 65_536;

const VariableJson = z
  .object({
    id: z.string(),
    name: z.string(),
    value: z.string(),
    managed: z.boolean().openapi({ description: "Made for a database: it can be neither changed nor removed" }),
  })
  .openapi("Variable", { description: "An environment variable of an app" });
const variableReply = z.object({ variable: VariableJson });
const variablesReply = z.object({ variables: z.array(VariableJson) });

/** May have several lines, as certificates do. */
const value = z
  .string({ error: (issue) => (issue.input === undefined ? "is required" : "must be text") })
  .max(VALUE_CHARACTERS_MAX, { error: `must have at most ${VALUE_CHARACTERS_MAX} characters` });
const change = fields({ name: plainText(255), value });
const appParams = z.object({ app: pathName });
const variableParams = z.object({ app: pathName, id: pathName });

const listVariables = createRoute({
  operationId: "listVariables",
  method: "get",
  path: "/v1/apps/{app}/variables",
  summary: "List an app's variables",
  ...byUser,
  request: {
    params: appParams,
    query: z.object({
      aliases: z.enum(["true", "false"], { error: "must be true or false" }).default("true").openapi({
        description: "`false` replaces a value such as `$SCALINGO_POSTGRESQL_URL` by that variable's value",
      }),
    }),
  },
  responses: { 200: answer("The variables", variablesReply), ...refusals(401, 403, 404, 422) },
});

const createVariable = createRoute({
  operationId: "createVariable",
  method: "post",
  path: "/v1/apps/{app}/variables",
  summary: "Add a variable",
  ...byUser,
  request: { params: appParams, body: jsonBody(fields({ variable: change })) },
  responses: { 201: answer("Added", variableReply), ...bodyRefusals(401, 403, 404, 409) },
});

const setVariables = createRoute({
  operationId: "setVariables",
  method: "put",
  path: "/v1/apps/{app}/variables",
  summary: "Add or change several variables, all or none; others stay",
  ...byUser,
  request: {
    params: appParams,
    body: jsonBody(fields({ variables: z.array(change, { error: "must be a list" }).max(LIST_LENGTH_MAX) })),
  },
  responses: { 200: answer("Those that were set", variablesReply), ...bodyRefusals(401, 403, 404, 409) },
});

const changeVariable = createRoute({
  operationId: "changeVariable",
  method: "patch",
  path: "/v1/apps/{app}/variables/{id}",
  summary: "Change a variable's value",
  ...byUser,
  request: { params: variableParams, body: jsonBody(fields({ variable: fields({ value }) })) },
  responses: { 200: answer("Changed", variableReply), ...bodyRefusals(401, 403, 404, 409) },
});

const removeVariable = createRoute({
  operationId: "removeVariable",
  method: "delete",
  path: "/v1/apps/{app}/variables/{id}",
  summary: "Remove a variable",
  ...byUser,
  request: { params: variableParams },
  responses: { 204: { description: "Removed" }, ...refusals(401, 403, 404, 409) },
});

const removeVariables = createRoute({
  operationId: "removeVariables",
  method: "delete",
  path: "/v1/apps/{app}/variables",
  summary: "Remove several variables, all or none",
  ...byUser,
  request: {
    params: appParams,
    body: jsonBody(fields({ variable_ids: z.array(plainText(255), { error: "must be a list" }).max(LIST_LENGTH_MAX) })),
  },
  responses: {
    200: answer("Those that were removed", z.object({ variable_ids: z.array(z.string()) })),
    ...bodyRefusals(401, 403, 404, 409),
  },
});

export function registerVariables(router: Router): void {
  router.openapi(listVariables, async (c) => {
    const expandAliases = c.req.valid("query").aliases === "false";
    const { app } = c.req.valid("param");
    const variables = await c.var.face.services.apps.variables(c.var.principal, app, { expandAliases });
    return c.json({ variables: variables.map(viewVariable) }, 200);
  });
  router.openapi(createVariable, async (c) => {
    const { variables } = c.var.face.services;
    const made = await variables.create(c.var.principal, c.req.valid("param").app, c.req.valid("json").variable);
    return c.json({ variable: viewVariable(made) }, 201);
  });
  router.openapi(setVariables, async (c) => {
    const { variables } = c.var.face.services;
    const set = await variables.set(c.var.principal, c.req.valid("param").app, c.req.valid("json").variables);
    return c.json({ variables: set.map(viewVariable) }, 200);
  });
  router.openapi(changeVariable, async (c) => {
    const { app, id } = c.req.valid("param");
    const input = { id, value: c.req.valid("json").variable.value };
    const changed = await c.var.face.services.variables.change(c.var.principal, app, input);
    return c.json({ variable: viewVariable(changed) }, 200);
  });
  router.openapi(removeVariable, async (c) => {
    const { app, id } = c.req.valid("param");
    await c.var.face.services.variables.remove(c.var.principal, app, [id]);
    return c.body(null, 204);
  });
  router.openapi(removeVariables, async (c) => {
    const { variable_ids: ids } = c.req.valid("json");
    await c.var.face.services.variables.remove(c.var.principal, c.req.valid("param").app, ids);
    return c.json({ variable_ids: ids }, 200);
  });
}

function viewVariable({ id, name, value: text, isManaged }: Variable): z.infer<typeof VariableJson> {
  return { id, name, value: text, managed: isManaged };
}
