import { createRoute, z } from "@hono/zod-openapi";
import type { App } from "../control/model.ts";
import { TidemarkError } from "../core/errors.ts";
import { answer, bodyRefusals, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

export const AppJson = z
  .object({
    id: z.string(),
    name: z.string(),
    region: z.string(),
    owner: z.object({ id: z.string(), username: z.string(), email: z.string() }),
    project: z.object({ id: z.string(), name: z.string() }),
    status: z.enum(["new", "running"]),
    git_url: z.string(),
    url: z.string().nullable(),
    base_url: z.string().nullable(),
    stack_id: z.string(),
    force_https: z.boolean(),
    sticky_session: z.boolean(),
    hds_resource: z.boolean(),
    flags: z.record(z.string(), z.boolean()),
    links: z.record(z.string(), z.string()).nullable(),
    last_deployed_at: timestamp.nullable(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .openapi("App", { description: "Nothing is deployed here: what concerns code and web traffic is empty" });

const params = z.object({ app: pathName });

const listApps = createRoute({
  operationId: "listApps",
  method: "get",
  path: "/v1/apps",
  summary: "List your apps by name",
  ...byUser,
  responses: { 200: answer("Your apps", z.object({ apps: z.array(AppJson) })), ...refusals(401) },
});

const createApp = createRoute({
  operationId: "createApp",
  method: "post",
  path: "/v1/apps",
  summary: "Make an app",
  ...byUser,
  request: { body: jsonBody(fields({ app: fields({ name: plainText(255) }) })) },
  responses: { 201: answer("Made", z.object({ app: AppJson })), ...bodyRefusals(401, 409) },
});

const showApp = createRoute({
  operationId: "showApp",
  method: "get",
  path: "/v1/apps/{app}",
  summary: "Show an app, by name or id",
  ...byUser,
  request: { params },
  responses: { 200: answer("The app", z.object({ app: AppJson })), ...refusals(401, 404) },
});

const nameAgain = plainText(255).openapi({ description: "The app's name once more, against slips" });

const transferApp = createRoute({
  operationId: "transferApp",
  method: "patch",
  path: "/v1/apps/{app}",
  summary: "Give an app to another user; for its owner, who stays as a collaborator",
  ...byUser,
  request: {
    params,
    query: z.object({ current_name: nameAgain }),
    body: jsonBody(
      fields({ app: fields({ owner: plainText(255).openapi({ description: "E-mail address or user name" }) }) }),
    ),
  },
  responses: { 200: answer("The app", z.object({ app: AppJson })), ...bodyRefusals(401, 403, 404) },
});

const removeApp = createRoute({
  operationId: "removeApp",
  method: "delete",
  path: "/v1/apps/{app}",
  summary: "Remove an app and its databases; backups are kept",
  ...byUser,
  request: {
    params,
    query: z.object({ current_name: nameAgain }),
  },
  responses: { 204: { description: "Removed" }, ...refusals(400, 401, 403, 404, 409, 422) },
});

export function registerApps(router: Router): void {
  router.openapi(listApps, async (c) => {
    const apps = await c.var.face.services.apps.list(c.var.principal);
    return c.json({ apps: apps.map((app) => viewApp(app, c.var.face.region.name)) }, 200);
  });
  router.openapi(createApp, async (c) => {
    if (c.req.header("X-Dry-Run") === "true")
      throw new TidemarkError("bad_request", "An app can't be made as a dry run here; nothing was made");
    const app = await c.var.face.services.apps.create(c.var.principal, c.req.valid("json").app);
    return c.json({ app: viewApp(app, c.var.face.region.name) }, 201);
  });
  router.openapi(showApp, async (c) => {
    const app = await c.var.face.services.apps.show(c.var.principal, c.req.valid("param").app);
    return c.json({ app: viewApp(app, c.var.face.region.name) }, 200);
  });
  router.openapi(transferApp, async (c) => {
    const input = { currentName: c.req.valid("query").current_name, owner: c.req.valid("json").app.owner };
    const app = await c.var.face.services.apps.transfer(c.var.principal, c.req.valid("param").app, input);
    return c.json({ app: viewApp(app, c.var.face.region.name) }, 200);
  });
  router.openapi(removeApp, async (c) => {
    const currentName = c.req.valid("query").current_name;
    await c.var.face.services.apps.remove(c.var.principal, c.req.valid("param").app, { currentName });
    return c.body(null, 204);
  });
}

export function viewApp(app: App, region: string): z.infer<typeof AppJson> {
  const { id, username, email } = app.owner;
  return {
    id: app.id,
    name: app.name,
    region,
    owner: { id, username, email },
    // Clients print the owner's name and the project's for each app; everyone has one project.
    project: { id, name: "default" },
    status: app.status,
    git_url: "",
    url: null,
    base_url: null,
    stack_id: "",
    force_https: false,
    sticky_session: false,
    hds_resource: false,
    flags: {},
    links: null,
    last_deployed_at: null,
    created_at: app.createdAt.toISOString(),
    updated_at: app.createdAt.toISOString(),
  };
}
