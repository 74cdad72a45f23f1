import type { Event } from "./event-service.ts";

/** How the platform itself appears where clients expect a user. */
const PLATFORM_USER = { id: "", username: "Tidemark", email: "platform" };

/** An event as the API answers it, and as webhooks get it: the one place that says so. Names of fields are the API's. */
export interface EventJson {
  id: string;
  /** Empty for events of a user. */
  app_id: string;
  app_name: string;
  resource_id: string | null;
  created_at: string;
  /** Without an id where it was the platform itself. */
  user: { id: string; username: string; email: string };
  type: string;
  type_data: Record<string, unknown>;
  title: string;
  text: string;
}

export function eventJson(event: Event): EventJson {
  return {
    id: event.id,
    app_id: event.appId ?? "",
    app_name: event.appName ?? "",
    resource_id: event.resourceId,
    created_at: event.createdAt.toISOString(),
    user: event.actor ?? PLATFORM_USER,
    type: event.type,
    type_data: { ...Object(event.data) },
    title: event.title,
    text: event.text,
  };
}
