import { type Kysely, sql } from "kysely";
import type { EventData, EventDatabase, EventType } from "../core/event-types.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import type { AddonFacts } from "./access.ts";
import type { Principal } from "./model.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** A year can be looked back upon, with some weeks to do so. */
const KEPT_DAYS = 400;
const DAY_MS = 24 * 3600_000;

/** Name of the addon provider, as clients of the API show it. */
const PROVIDER_NAME = "PostgreSQL";

/** Who did it. A principal is one; `platform` is the platform itself. */
export type EventActor =
  | "platform"
  | (Pick<Principal, "userId" | "username" | "email"> & Partial<Pick<Principal, "apiTokenId" | "address">>);

/** The app, and the database of it, that an event is about. */
export interface EventPlace {
  readonly appId: ObjectId;
  readonly appName: string;
  readonly addonId?: string;
  readonly resourceId?: string;
}

/** One event of any type, before it is recorded. */
export type EventToRecord = {
  [Type in EventType]: {
    readonly type: Type;
    readonly data: EventData[Type];
    readonly actor: EventActor;
    /** When it happened, by the caller's clock. */
    readonly at: Date;
    /** Absent for events of a user. */
    readonly place?: EventPlace;
    /** The user whom it happened to, where that isn't the actor: the user that was made, the one whose login failed. */
    readonly subjectUserId?: ObjectId;
  };
}[EventType];

/**
 * Records one event, in the transaction that does what it tells of: the event is there if, and only if, that happened. One insert; notifiers find
 * it by itself (`routed_at` is null) once the transaction is committed.
 */
export async function recordEvent(db: Db, event: EventToRecord): Promise<void> {
  const actor = event.actor === "platform" ? undefined : event.actor;
  await db
    .insertInto("events")
    .values({
      id: newObjectId(event.at),
      type: event.type,
      created_at: event.at,
      actor_id: actor?.userId ?? null,
      actor_username: actor?.username ?? null,
      actor_email: actor?.email ?? null,
      api_token_id: actor?.apiTokenId ?? null,
      address: actor?.address ?? null,
      app_id: event.place?.appId ?? null,
      app_name: event.place?.appName ?? null,
      addon_id: event.place?.addonId ?? null,
      resource_id: event.place?.resourceId ?? null,
      subject_user_id: event.subjectUserId ?? null,
      data: JSON.stringify(event.data),
    })
    .execute();
}

/** Types of events about one database. */
type DatabaseEventType = {
  [Type in EventType]: EventData[Type] extends EventDatabase ? Type : never;
}[EventType];

/** An event about one database, without what its addon tells. */
export type DatabaseEventToRecord = {
  [Type in DatabaseEventType]: Pick<Extract<EventToRecord, { type: Type }>, "type" | "actor" | "at"> & {
    readonly data: Omit<EventData[Type], keyof EventDatabase>;
  };
}[DatabaseEventType];

/** As `recordEvent`, for an event about this addon's database. */
export async function recordDatabaseEvent(db: Db, addon: EventAddon, event: DatabaseEventToRecord): Promise<void> {
  const data = { ...databaseOfAddon(addon), ...event.data };
  // Each member of the one union is a member of the other without the addon's part, which was put back.
  await recordEvent(db, { ...event, data, place: placeOfAddon(addon) } as EventToRecord);
}

/** What events tell of an addon. `AddonFacts` fits. */
export type EventAddon = Pick<AddonFacts, "id" | "resource_id" | "app_id" | "app_name">;

/** Where an event about this addon belongs. */
export function placeOfAddon(addon: EventAddon): EventPlace {
  return { appId: addon.app_id, appName: addon.app_name, addonId: addon.id, resourceId: addon.resource_id };
}

/** The part of an event's data that says which database. */
export function databaseOfAddon(addon: Pick<EventAddon, "id" | "resource_id">): EventDatabase {
  return {
    addon_uuid: addon.id,
    addon_name: PROVIDER_NAME,
    addon_provider_name: PROVIDER_NAME,
    resource_id: addon.resource_id,
  };
}

/** As `AddonFacts`, as far as events need them: of any addon, removed ones too. For work that knows an addon's id only. */
export async function readEventAddon(db: Db, addonId: string): Promise<EventAddon> {
  return await db
    .selectFrom("addons")
    .innerJoin("apps", "apps.id", "addons.app_id")
    .select(["addons.id", "addons.resource_id", "addons.app_id", "apps.name as app_name"])
    .where(sql`addons.id`, "=", addonId)
    .executeTakeFirstOrThrow();
}

/** The user who asked for an operation; the platform where nobody did. */
export async function readEventActor(db: Db, userId: ObjectId | null): Promise<EventActor> {
  if (userId === null) return "platform";
  const row = await db.selectFrom("users").select(["username", "email"]).where("id", "=", userId).executeTakeFirst();
  return row === undefined ? "platform" : { userId, ...row };
}

/** Removes events that are older than anybody looks back. */
export async function forgetOldEvents(db: Db, now: Date): Promise<void> {
  // Ids begin with their time, and have an index.
  const oldestKept = newObjectId(new Date(now.getTime() - KEPT_DAYS * DAY_MS));
  await db.deleteFrom("events").where("id", "<", oldestKept).execute();
}
