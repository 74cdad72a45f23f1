import type { EventType } from "../core/event-types.ts";
import type { NotificationPlatform } from "./notifier-service.ts";

/** The ways to tell people, in the order in which they are offered. */
export const NOTIFICATION_PLATFORMS: readonly NotificationPlatform[] = [
  { name: "email", displayName: "E-mail", description: "Mail to users of the app and to other addresses" },
  {
    name: "webhook",
    displayName: "Webhook",
    description: "The event as JSON, posted to an address of yours with a signature",
  },
  { name: "slack", displayName: "Slack", description: "A message in a Slack channel, by an incoming webhook" },
  {
    name: "rocket_chat",
    displayName: "Rocket.Chat",
    description: "A message in a Rocket.Chat channel, by an incoming webhook",
  },
];

/** What the owner of an app is told of unless told otherwise: whatever endangers the data, and that it is over. */
export const DEFAULT_EVENTS: readonly EventType[] = [
  "database_backup_failed",
  "database_backup_overdue",
  "database_base_backup_failed",
  "database_continuousbackup_healthy",
  "database_continuousbackup_delayed",
  "database_continuousbackup_stale",
  "database_wal_lost",
  "database_damage_found",
  "database_restore_failed",
];
