import type { Kysely, Selectable } from "kysely";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import type { Secrets } from "./context.ts";
import { DEFAULT_EVENTS } from "./notification-platforms.ts";
import { maskAddress, unwrapAddress } from "./notifier-address.ts";
import type { NotifierTable } from "./notifier-schema.ts";
import type { Delivery, Notifier } from "./notifier-service.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;
export type NotifierRow = Selectable<NotifierTable>;

/** As many as somebody reads. */
const DELIVERIES_SHOWN_MAX = 100;

/** The notifier that an app begins with: mail to its owner when data is in danger. Without a mail server it says so in its delivery log. */
export async function insertDefaultNotifier(
  db: Db,
  { appId, ownerId, at }: { appId: ObjectId; ownerId: ObjectId; at: Date },
): Promise<void> {
  await db
    .insertInto("notifiers")
    .values({
      id: newObjectId(at),
      app_id: appId,
      name: "Default notifier",
      platform: "email",
      is_active: true,
      is_default: true,
      sends_all_events: false,
      selected_events: [...DEFAULT_EVENTS],
      emails: [],
      user_ids: [ownerId],
      wrapped_address: null,
      created_at: at,
      updated_at: at,
    })
    .execute();
}

/** The notifier as its users see it: no secret in it. */
export async function notifierOf(row: NotifierRow, secrets: Secrets): Promise<Notifier> {
  const address = row.wrapped_address === null ? null : await unwrapAddress(secrets, row.wrapped_address);
  return {
    id: row.id,
    appId: row.app_id,
    name: row.name,
    platform: row.platform,
    isActive: row.is_active,
    isDefault: row.is_default,
    sendsAllEvents: row.sends_all_events,
    selectedEvents: row.selected_events,
    emails: row.emails,
    userIds: row.user_ids,
    webhookUrl: address === null ? null : maskAddress(address.url),
    signingSecret: null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** The newest deliveries of a notifier, newest first. */
export async function readDeliveries(db: Db, notifierId: ObjectId): Promise<Delivery[]> {
  const rows = await db
    .selectFrom("notifier_deliveries as delivery")
    .leftJoin("events", "events.sequence", "delivery.event_sequence")
    .select(["events.id as event_id", "events.type as event_type"])
    .selectAll("delivery")
    .where("delivery.notifier_id", "=", notifierId)
    .orderBy("delivery.id", "desc")
    .limit(DELIVERIES_SHOWN_MAX)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    event: row.event_id === null || row.event_type === null ? null : { id: row.event_id, type: row.event_type },
    state: row.state,
    attempts: row.attempt,
    reply: row.reply,
    durationMs: row.duration_ms,
    createdAt: row.created_at,
    nextAttemptAt: row.state === "waiting" ? row.run_after : null,
    endedAt: row.ended_at,
  }));
}

/** Addresses of those of the users who may still see the app. */
export async function readRecipients(
  db: Db,
  { appId, userIds }: { appId: ObjectId; userIds: readonly string[] },
): Promise<{ id: ObjectId; email: string }[]> {
  if (userIds.length === 0) return [];
  return await db
    .selectFrom("users")
    .select(["id", "email"])
    .where((row) =>
      row(
        "id",
        "in",
        userIds.map((id) => id as ObjectId),
      ),
    ) // what is no id is found nowhere
    .where((row) =>
      row.or([
        row.exists(
          row
            .selectFrom("apps")
            .select("apps.id")
            .where("apps.id", "=", appId)
            .whereRef("apps.owner_id", "=", "users.id"),
        ),
        row.exists(
          row
            .selectFrom("collaborators")
            .select("collaborators.id")
            .where("collaborators.app_id", "=", appId)
            .whereRef("collaborators.user_id", "=", "users.id"),
        ),
      ]),
    )
    .execute();
}
