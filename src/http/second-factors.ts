import { createRoute, z } from "@hono/zod-openapi";
import { answer, bodyRefusals, refusals } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, plainText } from "./validation.ts";

const SecondFactor = z
  .object({
    uuid: z.string().openapi({ description: "Of the user" }),
    enabled: z.boolean(),
    provider: z.literal("totp"),
  })
  .openapi("SecondFactor");
const Begun = SecondFactor.extend({
  uri: z.string().openapi({ description: "Content of the QR code that authenticators read; shown this once" }),
  secret: z.string().openapi({ description: "The same, to be typed" }),
}).openapi("BegunSecondFactor");
const Confirmed = z
  .object({
    codes: z.array(z.string()).openapi({ description: "Recovery codes, each good for one login; shown this once" }),
    user: SecondFactor,
  })
  .openapi("ConfirmedSecondFactor");
/** One of the clients of this API sends it as a number, without its leading zeros. */
const attempt = z.union([plainText(100), z.int().min(0).max(999_999)]).openapi({
  description: "A one-time password; to disable it, a recovery code as well",
});
const attemptBody = jsonBody(fields({ tfa: fields({ attempt }) }));

const showSecondFactor = createRoute({
  operationId: "showSecondFactor",
  method: "get",
  path: "/v1/client/tfa",
  summary: "Whether your logins ask for a second factor",
  ...byUser,
  responses: { 200: answer("Its state", z.object({ tfa: SecondFactor })), ...refusals(401) },
});

const beginSecondFactor = createRoute({
  operationId: "beginSecondFactor",
  method: "post",
  path: "/v1/client/tfa",
  summary: "Make the secret of a second factor; it is asked for once it is confirmed",
  ...byUser,
  request: {
    body: jsonBody(fields({ tfa: fields({ provider: z.literal("totp", { error: "must be totp" }).default("totp") }) })),
  },
  responses: { 201: answer("Begun", z.object({ tfa: Begun })), ...bodyRefusals(401, 409) },
});

const confirmSecondFactor = createRoute({
  operationId: "confirmSecondFactor",
  method: "post",
  path: "/v1/client/tfa/validate",
  summary: "Enable the second factor, by a first one-time password",
  ...byUser,
  request: { body: attemptBody },
  responses: { 200: answer("Enabled", z.object({ tfa: Confirmed })), ...bodyRefusals(401, 409) },
});

const disableSecondFactor = createRoute({
  operationId: "disableSecondFactor",
  method: "delete",
  path: "/v1/client/tfa",
  summary: "Disable the second factor",
  ...byUser,
  request: { body: attemptBody },
  responses: {
    200: answer("Disabled", SecondFactor.extend({ tfa: SecondFactor }).openapi("DisabledSecondFactor")),
    ...bodyRefusals(401, 409, 429),
  },
});

export function registerSecondFactors(router: Router): void {
  router.openapi(showSecondFactor, async (c) => {
    const { isEnabled } = await c.var.face.services.secondFactors.status(c.var.principal);
    return c.json({ tfa: view(c.var.principal.userId, isEnabled) }, 200);
  });
  router.openapi(beginSecondFactor, async (c) => {
    const begun = await c.var.face.services.secondFactors.begin(c.var.principal);
    return c.json({ tfa: { ...view(c.var.principal.userId, false), ...begun } }, 201);
  });
  router.openapi(confirmSecondFactor, async (c) => {
    const given = textOf(c.req.valid("json").tfa.attempt);
    const codes = await c.var.face.services.secondFactors.confirm(c.var.principal, given);
    return c.json({ tfa: { codes, user: view(c.var.principal.userId, true) } }, 200);
  });
  router.openapi(disableSecondFactor, async (c) => {
    await c.var.face.services.secondFactors.disable(c.var.principal, textOf(c.req.valid("json").tfa.attempt));
    const disabled = view(c.var.principal.userId, false);
    return c.json({ ...disabled, tfa: disabled }, 200);
  });
}

const CODE_DIGITS = 6;

function textOf(given: string | number): string {
  return typeof given === "number" ? String(given).padStart(CODE_DIGITS, "0") : given;
}

function view(userId: string, enabled: boolean): z.infer<typeof SecondFactor> {
  return { uuid: userId, enabled, provider: "totp" };
}
