import { createRoute, z } from "@hono/zod-openapi";
import type { Addon } from "../control/model.ts";
import { PlanJson, POSTGRESQL_PROVIDER, providerId, ProviderJson, viewPlan } from "./addon-providers.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

export const AddonJson = z
  .object({
    id: z.string(),
    app_id: z.string(),
    resource_id: z.string(),
    type: z.string(),
    status: z.enum(["provisioning", "running", "suspended"]),
    plan: PlanJson,
    next_plan: z.string().nullable().openapi({ description: "Name of the plan that a change under way leads to" }),
    addon_provider: ProviderJson,
    hds_resource: z.boolean(),
    created_at: timestamp,
    provisioned_at: optionalTimestamp,
    deprovisioned_at: optionalTimestamp,
  })
  .openapi("Addon");
const AddonWithToken = AddonJson.extend({
  token: z.string().openapi({ description: "Opens this addon's database API for one hour" }),
}).openapi("AddonWithToken");

const appParams = z.object({ app: pathName });
const addonParams = z.object({ app: pathName, addon: pathName });

const listAddons = createRoute({
  operationId: "listAddons",
  method: "get",
  path: "/v1/apps/{app}/addons",
  summary: "List an app's addons in order of creation",
  ...byUser,
  request: { params: appParams },
  responses: { 200: answer("The addons", z.object({ addons: z.array(AddonJson) })), ...refusals(401, 404) },
});

const createAddon = createRoute({
  operationId: "createAddon",
  method: "post",
  path: "/v1/apps/{app}/addons",
  summary: "Add a database; its server is made in the background",
  ...byUser,
  request: {
    params: appParams,
    body: jsonBody(fields({ addon: fields({ addon_provider_id: plainText(255), plan_id: plainText(255) }) })),
  },
  responses: {
    201: answer(
      "Being provisioned",
      z.object({ addon: AddonJson, message: z.string(), variables: z.array(z.string()) }),
    ),
    ...bodyRefusals(401, 404, 409),
  },
});

const showAddon = createRoute({
  operationId: "showAddon",
  method: "get",
  path: "/v1/apps/{app}/addons/{addon}",
  summary: "Show an addon",
  ...byUser,
  request: { params: addonParams },
  responses: { 200: answer("The addon", z.object({ addon: AddonJson })), ...refusals(401, 404) },
});

const removeAddon = createRoute({
  operationId: "removeAddon",
  method: "delete",
  path: "/v1/apps/{app}/addons/{addon}",
  summary: "Remove a database with its data; logical backups are kept",
  ...byUser,
  request: { params: addonParams },
  responses: { 204: { description: "Removed" }, ...refusals(401, 404, 409) },
});

const issueAddonToken = createRoute({
  operationId: "issueAddonToken",
  method: "post",
  path: "/v1/apps/{app}/addons/{addon}/token",
  summary: "Get a token for the addon's database API",
  ...byUser,
  request: { params: addonParams },
  responses: { 200: answer("The addon and its token", z.object({ addon: AddonWithToken })), ...refusals(401, 404) },
});

export function registerAddons(router: Router): void {
  router.openapi(listAddons, async (c) => {
    const addons = await c.var.face.services.addons.list(c.var.principal, c.req.valid("param").app);
    return c.json({ addons: addons.map(viewAddon) }, 200);
  });
  router.openapi(createAddon, async (c) => {
    const { addon_provider_id: provider, plan_id: planId } = c.req.valid("json").addon;
    const input = { providerId: providerId(provider), planId };
    const made = await c.var.face.services.addons.create(c.var.principal, c.req.valid("param").app, input);
    return c.json({ addon: viewAddon(made.addon), message: made.message, variables: made.variables }, 201);
  });
  router.openapi(showAddon, async (c) => {
    const { app, addon } = c.req.valid("param");
    return c.json({ addon: viewAddon(await c.var.face.services.addons.show(c.var.principal, app, addon)) }, 200);
  });
  router.openapi(removeAddon, async (c) => {
    const { app, addon } = c.req.valid("param");
    await c.var.face.services.addons.remove(c.var.principal, app, addon);
    return c.body(null, 204);
  });
  router.openapi(issueAddonToken, async (c) => {
    const { app, addon } = c.req.valid("param");
    const issued = await c.var.face.services.addons.issueToken(c.var.principal, app, addon);
    return c.json({ addon: { ...viewAddon(issued.addon), token: issued.token } }, 200);
  });
}

export function viewAddon(addon: Addon): z.infer<typeof AddonJson> {
  return {
    id: addon.id,
    app_id: addon.appId,
    resource_id: addon.resourceId,
    type: POSTGRESQL_PROVIDER.id,
    status: addon.status,
    plan: viewPlan(addon.plan),
    next_plan: addon.nextPlanName,
    addon_provider: POSTGRESQL_PROVIDER,
    hds_resource: false,
    created_at: addon.createdAt.toISOString(),
    provisioned_at: addon.provisionedAt?.toISOString() ?? null,
    deprovisioned_at: null,
  };
}
