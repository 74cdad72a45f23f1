import { createRoute, z } from "@hono/zod-openapi";
import type { NotificationPlatform } from "../control/notifier-service.ts";
import { EVENT_TYPES, eventTitle } from "../core/event-types.ts";
import { answer, refusals } from "./api-schemas.ts";
import type { Router } from "./context.ts";
import { plainText } from "./validation.ts";

/** What an app's notifiers can be told of; a type's id is its name. */
const APP_EVENTS = Object.entries(EVENT_TYPES).filter(([, { scope }]) => scope === "app");
const CATEGORIES = [...new Set(APP_EVENTS.map(([, { category }]) => category))];

const PlatformJson = z
  .object({
    id: z.string(),
    name: z.string(),
    display_name: z.string(),
    logo_url: z.string(),
    description: z.string(),
    available_event_ids: z.array(z.string()),
  })
  .openapi("NotificationPlatform");
const EventTypeJson = z
  .object({
    id: z.string(),
    category_id: z.string(),
    name: z.string(),
    display_name: z.string(),
    description: z.string(),
  })
  .openapi("EventType");
const EventCategoryJson = z
  .object({ id: z.string(), name: z.string(), display_name: z.string(), position: z.int() })
  .openapi("EventCategory");

const platformsAnswer = answer("The platforms", z.object({ notification_platforms: z.array(PlatformJson) }));

const listPlatforms = createRoute({
  operationId: "listNotificationPlatforms",
  method: "get",
  path: "/v1/notification_platforms",
  summary: "List the ways to tell people what happened",
  security: [],
  responses: { 200: platformsAnswer, ...refusals() },
});

const searchPlatforms = createRoute({
  operationId: "searchNotificationPlatforms",
  method: "get",
  path: "/v1/notification_platforms/search",
  summary: "Find a way to tell people by its name",
  security: [],
  request: { query: z.object({ name: plainText(100).optional() }) },
  responses: { 200: platformsAnswer, ...refusals(422) },
});

const listEventTypes = createRoute({
  operationId: "listEventTypes",
  method: "get",
  path: "/v1/event_types",
  summary: "List the events that a notifier can be told of",
  security: [],
  responses: { 200: answer("The types", z.object({ event_types: z.array(EventTypeJson) })), ...refusals() },
});

const listEventCategories = createRoute({
  operationId: "listEventCategories",
  method: "get",
  path: "/v1/event_categories",
  summary: "List the groups that event types are in",
  security: [],
  responses: {
    200: answer("The categories", z.object({ event_categories: z.array(EventCategoryJson) })),
    ...refusals(),
  },
});

/** None of them needs a login: they tell nothing of this platform. */
export function registerNotificationPlatforms(router: Router): void {
  router.openapi(searchPlatforms, (c) => {
    const { name } = c.req.valid("query");
    const found = c.var.face.services.notifiers
      .platforms()
      .filter((platform) => name === undefined || platform.name === name);
    return c.json({ notification_platforms: found.map(viewPlatform) }, 200);
  });
  router.openapi(listPlatforms, (c) =>
    c.json({ notification_platforms: c.var.face.services.notifiers.platforms().map(viewPlatform) }, 200),
  );
  router.openapi(listEventTypes, (c) =>
    c.json(
      {
        event_types: APP_EVENTS.map(([name, { category, description }]) => ({
          id: name,
          category_id: category,
          name,
          display_name: eventTitle(name),
          description,
        })),
      },
      200,
    ),
  );
  router.openapi(listEventCategories, (c) =>
    c.json(
      {
        event_categories: CATEGORIES.map((name, position) => ({
          id: name,
          name,
          display_name: eventTitle(name),
          position,
        })),
      },
      200,
    ),
  );
}

function viewPlatform({ name, displayName, description }: NotificationPlatform): z.infer<typeof PlatformJson> {
  return {
    id: name,
    name,
    display_name: displayName,
    logo_url: "",
    description,
    available_event_ids: APP_EVENTS.map(([type]) => type),
  };
}
