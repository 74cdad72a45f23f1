import { createRoute, z } from "@hono/zod-openapi";
import type { Plan } from "../control/model.ts";
import { answer, refusals } from "./api-schemas.ts";
import type { Router } from "./context.ts";
import { pathName } from "./validation.ts";

export const ProviderJson = z
  .object({
    id: z.string(),
    name: z.string(),
    short_description: z.string(),
    description: z.string(),
    category: z.object({ id: z.string(), name: z.string(), description: z.string(), position: z.int() }),
    logo_url: z.string(),
    provider_name: z.string(),
    provider_url: z.string(),
    hds_available: z.boolean(),
  })
  .openapi("AddonProvider");

export const PlanJson = z
  .object({
    id: z.string(),
    name: z.string(),
    display_name: z.string(),
    description: z.string(),
    price: z.number(),
    position: z.int(),
    on_demand: z.boolean(),
    disabled: z.boolean(),
    disabled_alternative_plan_id: z.string().nullable(),
    sku: z.string(),
    hds_available: z.boolean(),
  })
  .openapi("Plan");

/** Clients find an addon by this name, ignoring case. */
export const POSTGRESQL_PROVIDER: z.infer<typeof ProviderJson> = {
  id: "postgresql",
  name: "PostgreSQL",
  short_description: "A PostgreSQL database with continuous and daily backups",
  description: "A PostgreSQL database with continuous and daily backups",
  category: { id: "databases", name: "Databases", description: "Databases", position: 1 },
  logo_url: "",
  provider_name: "Tidemark",
  provider_url: "",
  hds_available: false,
};

const listProviders = createRoute({
  operationId: "listProviders",
  method: "get",
  path: "/v1/addon_providers",
  summary: "List the kinds of addons",
  security: [],
  responses: { 200: answer("PostgreSQL alone", z.object({ addon_providers: z.array(ProviderJson) })), ...refusals() },
});

const listPlans = createRoute({
  operationId: "listPlans",
  method: "get",
  path: "/v1/addon_providers/{provider}/plans",
  summary: "List the plans of a provider",
  security: [],
  request: { params: z.object({ provider: pathName }) },
  responses: { 200: answer("By position", z.object({ plans: z.array(PlanJson) })), ...refusals(404) },
});

/** Both are open to everyone: the same for all, and clients ask before they log in. */
export function registerAddonProviders(router: Router): void {
  router.openapi(listProviders, (c) => c.json({ addon_providers: [POSTGRESQL_PROVIDER] }, 200));
  router.openapi(listPlans, (c) => {
    const plans = c.var.face.services.addons.plans(providerId(c.req.valid("param").provider));
    return c.json({ plans: plans.map(viewPlan) }, 200);
  });
}

/** Clients rewrite short names of the provider (`psql`, `postgre`) to `scalingo-postgresql`. */
export function providerId(asked: string): string {
  return asked === "scalingo-postgresql" ? POSTGRESQL_PROVIDER.id : asked;
}

export function viewPlan(plan: Plan): z.infer<typeof PlanJson> {
  return {
    id: plan.id,
    name: plan.name,
    display_name: plan.displayName,
    description: plan.description,
    price: 0,
    position: plan.position,
    on_demand: false,
    disabled: false,
    disabled_alternative_plan_id: null,
    sku: plan.name,
    hds_available: false,
  };
}
