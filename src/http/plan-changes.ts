import { createRoute, z } from "@hono/zod-openapi";
import type { PlanChange } from "../control/database-services.ts";
import { PlanJson, viewPlan } from "./addon-providers.ts";
import { AddonJson, viewAddon } from "./addons.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** Longer than any plan's name. */
const PLAN_NAME_CHARS_MAX = 255;

const PlanOfChange = PlanJson.extend({
  memory_mb: z.int(),
  recovery_window_days: z.int(),
}).openapi("PlanOfChange");
const PlanChangeJson = z
  .object({
    from: PlanOfChange,
    to: PlanOfChange,
    restarts: z.boolean().openapi({ description: "The database is down for a moment" }),
    backups: z.array(
      z.object({
        id: z.string(),
        method: z.enum(["periodic", "manual"]),
        size: z.int().nullable(),
        created_at: timestamp,
        outcome: z.enum(["goes", "kept_longer", "kept_shorter"]),
        kept_until: optionalTimestamp.openapi({ description: "Not removed before; null where no date is set" }),
        reason: z.string(),
      }),
    ),
  })
  .openapi("PlanChange", { description: "Only backups that the new plan treats in another way" });

const addonParams = z.object({ app: pathName, addon: pathName });

const previewPlanChange = createRoute({
  operationId: "previewPlanChange",
  method: "get",
  path: "/v1/apps/{app}/addons/{addon}/plan_change",
  summary: "Show what a change of plan would do; changes nothing",
  ...byUser,
  request: {
    params: addonParams,
    query: z.object({
      plan: plainText(PLAN_NAME_CHARS_MAX).optional().openapi({ description: "A plan's name; default its own" }),
    }),
  },
  responses: {
    200: answer("The change", z.object({ plan_change: PlanChangeJson })),
    ...refusals(401, 404, 422),
  },
});

const changePlan = createRoute({
  operationId: "changePlan",
  method: "patch",
  path: "/v1/apps/{app}/addons/{addon}",
  summary:
    "Change an addon's plan; the server takes it up in the background, and only then the plan counts for backups",
  ...byUser,
  request: {
    params: addonParams,
    body: jsonBody(fields({ addon: fields({ plan_id: plainText(PLAN_NAME_CHARS_MAX) }) })),
  },
  responses: {
    200: answer(
      "The change has begun",
      z.object({
        addon: AddonJson,
        message: z.string(),
        variables: z.array(z.string()),
        vars: z.array(z.string()).openapi({ description: "The same as `variables`" }),
        plan_change: PlanChangeJson,
      }),
    ),
    ...bodyRefusals(401, 404, 409),
  },
});

export function registerPlanChanges(router: Router): void {
  router.openapi(previewPlanChange, async (c) => {
    const { app, addon } = c.req.valid("param");
    const { planChanges } = c.var.face.services;
    const change = await planChanges.preview(c.var.principal, app, addon, c.req.valid("query").plan ?? null);
    return c.json({ plan_change: viewChange(change) }, 200);
  });
  router.openapi(changePlan, async (c) => {
    const { app, addon } = c.req.valid("param");
    const { planChanges } = c.var.face.services;
    const begun = await planChanges.begin(c.var.principal, app, addon, c.req.valid("json").addon.plan_id);
    return c.json(
      {
        addon: viewAddon(begun.addon),
        message: messageOf(begun.change),
        variables: [],
        vars: [],
        plan_change: viewChange(begun.change),
      },
      200,
    );
  });
}

/** What a client shows that asked nothing before. */
function messageOf({ to, restarts, backups }: PlanChange): string {
  const going = backups.filter(({ outcome }) => outcome === "goes").length;
  return [
    `The plan becomes ${to.displayName}`,
    ...(restarts ? ["the database restarts for it and is down for a moment"] : []),
    ...(going > 0 ? [`${going} backups that it doesn't keep go within the hour: ${GET_THEM}`] : []),
  ].join("; ");
}

const GET_THEM = "download them before, or change the plan back";

function viewChange({ from, to, restarts, backups }: PlanChange): z.infer<typeof PlanChangeJson> {
  return {
    from: viewPlanOfChange(from),
    to: viewPlanOfChange(to),
    restarts,
    backups: backups.map(({ backup, outcome, reason, keptUntil }) => ({
      id: backup.id,
      method: backup.method,
      size: backup.sizeBytes,
      created_at: backup.createdAt.toISOString(),
      outcome,
      kept_until: keptUntil?.toISOString() ?? null,
      reason,
    })),
  };
}

function viewPlanOfChange(plan: PlanChange["from"]): z.infer<typeof PlanOfChange> {
  return { ...viewPlan(plan), memory_mb: plan.memoryMb, recovery_window_days: plan.recoveryWindowDays };
}
