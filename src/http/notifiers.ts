import { createRoute, z } from "@hono/zod-openapi";
import type { Delivery, Notifier, NotifierChange } from "../control/notifier-service.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

const NAMES_MAX = 200;

const NotifierJson = z
  .object({
    id: z.string(),
    app_id: z.string(),
    name: z.string(),
    type: z.string(),
    platform_id: z.string(),
    active: z.boolean(),
    default: z.boolean(),
    send_all_events: z.boolean(),
    send_all_alerts: z.boolean(),
    selected_event_ids: z.array(z.string()),
    type_data: z
      .object({
        emails: z.array(z.string()).optional(),
        user_ids: z.array(z.string()).optional(),
        webhook_url: z.string().optional().openapi({ description: "Masked: whoever knows it can post there" }),
        signing_secret: z
          .string()
          .optional()
          .openapi({ description: "What a webhook's requests are signed with; shown once, as it is made" }),
      })
      .openapi({ description: "What the platform needs: recipients, or an address" }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .openapi("Notifier");

const DeliveryJson = z
  .object({
    id: z.string(),
    event_id: z.string().nullable(),
    event_type: z.string().openapi({ description: "`test` for a test" }),
    status: z.enum(["waiting", "delivered", "failed"]),
    attempts: z.int(),
    reply: z.string().nullable().openapi({ description: "What the other side said, or why there was no answer" }),
    duration_ms: z.int().nullable(),
    created_at: timestamp,
    next_attempt_at: optionalTimestamp,
    ended_at: optionalTimestamp,
  })
  .openapi("Delivery");

// Clients send fields that they don't mean as null, "" or zero.
const words = z.array(plainText(255)).max(NAMES_MAX).nullish();
const change = {
  name: plainText(255).nullish(),
  active: z.boolean().nullish(),
  send_all_events: z.boolean().nullish(),
  selected_event_ids: words,
  type_data: fields({ emails: words, user_ids: words, webhook_url: plainText(4096).nullish() }).nullish(),
};

const appParams = z.object({ app: pathName });
const notifierParams = z.object({ app: pathName, id: pathName });
const oneNotifier = z.object({ notifier: NotifierJson });

const listNotifiers = createRoute({
  operationId: "listNotifiers",
  method: "get",
  path: "/v1/apps/{app}/notifiers",
  summary: "List an app's notifiers in order of creation",
  ...byUser,
  request: { params: appParams },
  responses: {
    200: answer("The notifiers", z.object({ notifiers: z.array(NotifierJson) })),
    ...refusals(401, 403, 404),
  },
});

const createNotifier = createRoute({
  operationId: "createNotifier",
  method: "post",
  path: "/v1/apps/{app}/notifiers",
  summary: "Add a notifier",
  ...byUser,
  request: {
    params: appParams,
    body: jsonBody(fields({ notifier: fields({ ...change, name: plainText(255), platform_id: plainText(255) }) })),
  },
  responses: { 201: answer("Made", oneNotifier), ...bodyRefusals(401, 403, 404, 409) },
});

const showNotifier = createRoute({
  operationId: "showNotifier",
  method: "get",
  path: "/v1/apps/{app}/notifiers/{id}",
  summary: "Show a notifier",
  ...byUser,
  request: { params: notifierParams },
  responses: { 200: answer("The notifier", oneNotifier), ...refusals(401, 403, 404) },
});

const updateNotifier = createRoute({
  operationId: "updateNotifier",
  method: "patch",
  path: "/v1/apps/{app}/notifiers/{id}",
  summary: "Change a notifier; what is left out stays",
  ...byUser,
  request: { params: notifierParams, body: jsonBody(fields({ notifier: fields(change) })) },
  responses: { 200: answer("Changed", oneNotifier), ...bodyRefusals(401, 403, 404) },
});

const removeNotifier = createRoute({
  operationId: "removeNotifier",
  method: "delete",
  path: "/v1/apps/{app}/notifiers/{id}",
  summary: "Remove a notifier with its delivery log",
  ...byUser,
  request: { params: notifierParams },
  responses: { 204: { description: "Removed" }, ...refusals(401, 403, 404) },
});

const testNotifier = createRoute({
  operationId: "testNotifier",
  method: "post",
  path: "/v1/apps/{app}/notifiers/{id}/test",
  summary: "Send a test; how it went is in the delivery log",
  ...byUser,
  request: { params: notifierParams },
  responses: { 202: answer("Will be sent", z.object({ delivery: DeliveryJson })), ...refusals(401, 403, 404, 409) },
});

const listDeliveries = createRoute({
  operationId: "listDeliveries",
  method: "get",
  path: "/v1/apps/{app}/notifiers/{id}/deliveries",
  summary: "The newest deliveries of a notifier, newest first",
  ...byUser,
  request: { params: notifierParams },
  responses: {
    200: answer("The deliveries", z.object({ deliveries: z.array(DeliveryJson) })),
    ...refusals(401, 403, 404),
  },
});

export function registerNotifiers(router: Router): void {
  router.openapi(listNotifiers, async (c) => {
    const notifiers = await c.var.face.services.notifiers.list(c.var.principal, c.req.valid("param").app);
    return c.json({ notifiers: notifiers.map(viewNotifier) }, 200);
  });
  router.openapi(createNotifier, async (c) => {
    const { notifier } = c.req.valid("json");
    const input = { ...readChange(notifier), name: notifier.name, platform: notifier.platform_id };
    const made = await c.var.face.services.notifiers.create(c.var.principal, c.req.valid("param").app, input);
    return c.json({ notifier: viewNotifier(made) }, 201);
  });
  router.openapi(showNotifier, async (c) => {
    const { app, id } = c.req.valid("param");
    return c.json({ notifier: viewNotifier(await c.var.face.services.notifiers.show(c.var.principal, app, id)) }, 200);
  });
  router.openapi(updateNotifier, async (c) => {
    const { app, id } = c.req.valid("param");
    const asked = readChange(c.req.valid("json").notifier);
    const changed = await c.var.face.services.notifiers.update(c.var.principal, app, id, asked);
    return c.json({ notifier: viewNotifier(changed) }, 200);
  });
  router.openapi(removeNotifier, async (c) => {
    const { app, id } = c.req.valid("param");
    await c.var.face.services.notifiers.remove(c.var.principal, app, id);
    return c.body(null, 204);
  });
  router.openapi(testNotifier, async (c) => {
    const { app, id } = c.req.valid("param");
    const delivery = await c.var.face.services.notifiers.test(c.var.principal, app, id);
    return c.json({ delivery: viewDelivery(delivery) }, 202);
  });
  router.openapi(listDeliveries, async (c) => {
    const { app, id } = c.req.valid("param");
    const deliveries = await c.var.face.services.notifiers.deliveries(c.var.principal, app, id);
    return c.json({ deliveries: deliveries.map(viewDelivery) }, 200);
  });
}

type ChangeBody = z.infer<z.ZodObject<typeof change>>;

function readChange(body: ChangeBody): NotifierChange {
  const { emails, user_ids: userIds, webhook_url: webhookUrl } = body.type_data ?? {};
  return {
    ...(isSaid(body.name) ? { name: body.name } : {}),
    ...(isSaid(body.active) ? { isActive: body.active } : {}),
    ...(isSaid(body.send_all_events) ? { sendsAllEvents: body.send_all_events } : {}),
    ...(isSaid(body.selected_event_ids) ? { selectedEvents: body.selected_event_ids } : {}),
    ...(isSaid(emails) ? { emails } : {}),
    ...(isSaid(userIds) ? { userIds } : {}),
    ...(isSaid(webhookUrl) ? { webhookUrl } : {}),
  };
}

function isSaid<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined && value !== "";
}

function viewNotifier(notifier: Notifier): z.infer<typeof NotifierJson> {
  const { webhookUrl, signingSecret } = notifier;
  return {
    id: notifier.id,
    app_id: notifier.appId,
    name: notifier.name,
    type: notifier.platform,
    platform_id: notifier.platform,
    active: notifier.isActive,
    default: notifier.isDefault,
    send_all_events: notifier.sendsAllEvents,
    send_all_alerts: false,
    selected_event_ids: [...notifier.selectedEvents],
    type_data: {
      ...(notifier.platform === "email" ? { emails: [...notifier.emails], user_ids: [...notifier.userIds] } : {}),
      ...(webhookUrl === null ? {} : { webhook_url: webhookUrl }),
      ...(signingSecret === null ? {} : { signing_secret: signingSecret }),
    },
    created_at: notifier.createdAt.toISOString(),
    updated_at: notifier.updatedAt.toISOString(),
  };
}

function viewDelivery(delivery: Delivery): z.infer<typeof DeliveryJson> {
  return {
    id: delivery.id,
    event_id: delivery.event?.id ?? null,
    event_type: delivery.event?.type ?? "test",
    status: delivery.state,
    attempts: delivery.attempts,
    reply: delivery.reply,
    duration_ms: delivery.durationMs,
    created_at: delivery.createdAt.toISOString(),
    next_attempt_at: delivery.nextAttemptAt?.toISOString() ?? null,
    ended_at: delivery.endedAt?.toISOString() ?? null,
  };
}
