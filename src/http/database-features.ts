import { createRoute, z } from "@hono/zod-openapi";
import { answer, bodyRefusals, refusals } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** Longer than any feature's name. */
const NAME_CHARS_MAX = 100;

const FeatureAnswer = z
  .object({
    name: z.string(),
    status: z.enum(["PENDING", "ACTIVATED", "DISABLED"]).openapi({ description: "PENDING: being taken up" }),
    message: z.string(),
  })
  .openapi("FeatureAnswer");

const params = z.object({ addon: pathName });

const enableFeature = createRoute({
  operationId: "enableFeature",
  method: "post",
  path: "/api/databases/{addon}/features",
  summary: "Switch a feature on: force-ssl or publicly-available",
  ...byDatabaseToken,
  request: { params, body: jsonBody(fields({ feature: fields({ name: plainText(NAME_CHARS_MAX) }) })) },
  responses: { 200: answer("How far it is", FeatureAnswer), ...bodyRefusals(401, 403, 404, 409) },
});

const disableFeature = createRoute({
  operationId: "disableFeature",
  method: "delete",
  path: "/api/databases/{addon}/features",
  summary: "Switch a feature off",
  ...byDatabaseToken,
  request: { params, query: z.object({ feature: plainText(NAME_CHARS_MAX).optional() }) },
  responses: { 200: answer("It is off", FeatureAnswer), ...refusals(401, 403, 404, 422) },
});

export function registerDatabaseFeatures(router: Router): void {
  router.openapi(enableFeature, async (c) => {
    const { name } = c.req.valid("json").feature;
    const feature = await c.var.face.services.features.enable(c.var.caller, c.req.valid("param").addon, name);
    return c.json({ name: feature.name, status: feature.status, message: feature.message }, 200);
  });
  router.openapi(disableFeature, async (c) => {
    const name = c.req.valid("query").feature ?? "";
    const feature = await c.var.face.services.features.disable(c.var.caller, c.req.valid("param").addon, name);
    return c.json({ name: feature.name, status: "DISABLED" as const, message: feature.message }, 200);
  });
}
