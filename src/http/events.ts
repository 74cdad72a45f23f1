import { createRoute, z } from "@hono/zod-openapi";
import { eventJson } from "../control/event-json.ts";
import type { AuditedEvent } from "../control/event-service.ts";
import { answer, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { PageMeta, pageQuery, pageRequest, viewPageMeta } from "./pages.ts";
import { pathName, plainText } from "./validation.ts";

/** Longer than any name of an app, a user or a type. */
const FILTER_CHARS_MAX = 255;

const EventJson = z
  .object({
    id: z.string(),
    app_id: z.string().openapi({ description: "Empty for events of a user" }),
    app_name: z.string(),
    resource_id: z.string().nullable().openapi({ description: "The database that it is about" }),
    created_at: timestamp,
    user: z
      .object({ id: z.string(), username: z.string(), email: z.string() })
      .openapi({ description: "Who did it; without an id where it was the platform itself" }),
    type: z.string(),
    type_data: z.record(z.string(), z.unknown()).openapi({ description: "What it carries, by type" }),
    title: z.string(),
    text: z.string().openapi({ description: "What happened, for people" }),
  })
  .openapi("Event");

const AuditedEventJson = EventJson.extend({
  address: z.string().nullable().openapi({ description: "Network address of the request" }),
  api_token_id: z.string().nullable().openapi({ description: "The API token that the login came from" }),
}).openapi("AuditedEvent");

const listAppEvents = createRoute({
  operationId: "listAppEvents",
  method: "get",
  path: "/v1/apps/{app}/events",
  summary: "The timeline of an app, newest first",
  ...byUser,
  request: { params: z.object({ app: pathName }), query: pageQuery },
  responses: {
    200: answer("One page", z.object({ events: z.array(EventJson), meta: PageMeta })),
    ...refusals(401, 404, 422),
  },
});

const listUserEvents = createRoute({
  operationId: "listUserEvents",
  method: "get",
  path: "/v1/events",
  summary: "The timeline of all your apps and of your account, newest first",
  ...byUser,
  request: { query: pageQuery },
  responses: {
    200: answer("One page", z.object({ events: z.array(EventJson), meta: PageMeta })),
    ...refusals(401, 422),
  },
});

const listAudit = createRoute({
  operationId: "listAudit",
  method: "get",
  path: "/v1/platform/audit",
  summary: "Who did what, on the whole platform, newest first; for its owner",
  ...byUser,
  request: {
    query: pageQuery.extend({
      app: plainText(FILTER_CHARS_MAX).optional().openapi({ description: "An app's name" }),
      user: plainText(FILTER_CHARS_MAX).optional().openapi({ description: "The name of the user who did it" }),
      type: plainText(FILTER_CHARS_MAX).optional().openapi({ description: "A type of event" }),
    }),
  },
  responses: {
    200: answer("One page", z.object({ events: z.array(AuditedEventJson), meta: PageMeta })),
    ...refusals(401, 403, 422),
  },
});

export function registerEvents(router: Router): void {
  router.openapi(listAppEvents, async (c) => {
    const page = pageRequest(c.req.valid("query"));
    const found = await c.var.face.services.events.ofApp(c.var.principal, c.req.valid("param").app, page);
    return c.json({ events: found.items.map(eventJson), meta: viewPageMeta(found) }, 200);
  });
  router.openapi(listUserEvents, async (c) => {
    const found = await c.var.face.services.events.ofUser(c.var.principal, pageRequest(c.req.valid("query")));
    return c.json({ events: found.items.map(eventJson), meta: viewPageMeta(found) }, 200);
  });
  router.openapi(listAudit, async (c) => {
    const { app, user, type, ...page } = c.req.valid("query");
    const filter = {
      ...(app === undefined ? {} : { app }),
      ...(user === undefined ? {} : { username: user }),
      ...(type === undefined ? {} : { type }),
    };
    const found = await c.var.face.services.events.audit(c.var.principal, filter, pageRequest(page));
    return c.json({ events: found.items.map(viewAuditedEvent), meta: viewPageMeta(found) }, 200);
  });
}

function viewAuditedEvent(event: AuditedEvent): z.infer<typeof AuditedEventJson> {
  return { ...eventJson(event), address: event.address, api_token_id: event.apiTokenId };
}
