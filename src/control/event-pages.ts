import { type ExpressionWrapper, expressionBuilder, type Kysely, type Selectable, type SqlBool } from "kysely";
import { eventText, eventTitle, isEventType, type EventData } from "../core/event-types.ts";
import { findApp, requirePlatformOwner } from "./access.ts";
import type { ControlContext } from "./context.ts";
import type { AuditedEvent, AuditFilter, Event, EventService, Page, PageRequest } from "./event-service.ts";
import type { Principal } from "./model.ts";
import type { ControlSchema, EventTable } from "./schema.ts";

type Db = Kysely<ControlSchema>;
type EventRow = Selectable<EventTable>;
type Condition = ExpressionWrapper<ControlSchema, "events", SqlBool>;

/** The recorded events as timelines and audit. */
export function createEventService({ database }: Pick<ControlContext, "database">): EventService {
  const { db } = database;
  return {
    async ofApp(principal, app, page) {
      const { id } = await findApp(db, principal, app, "read");
      return await readPage(db, { where: events()("app_id", "=", id), page, view: eventOf });
    },
    ofUser: (principal, page) => readPage(db, { where: concernsUser(principal), page, view: eventOf }),
    async audit(principal, filter, page) {
      requirePlatformOwner(principal);
      return await readPage(db, { where: matchesFilter(filter), page, view: auditedEventOf });
    },
  };
}

function events() {
  return expressionBuilder<ControlSchema, "events">();
}

function concernsUser({ userId }: Principal): Condition {
  const match = events();
  const ownApps = match.selectFrom("apps").select("apps.id").where("owner_id", "=", userId);
  const sharedApps = match.selectFrom("collaborators").select("app_id").where("user_id", "=", userId);
  return match.or([
    match("events.app_id", "in", ownApps),
    match("events.app_id", "in", sharedApps),
    match.and([
      match("events.app_id", "is", null),
      match.or([match("actor_id", "=", userId), match("subject_user_id", "=", userId)]),
    ]),
  ]);
}

function matchesFilter({ app, username, type }: AuditFilter): Condition {
  const match = events();
  return match.and([
    ...(app === undefined ? [] : [match("app_name", "=", app)]),
    ...(username === undefined ? [] : [match("actor_username", "=", username)]),
    ...(type === undefined ? [] : [match("type", "=", type)]),
  ]);
}

async function readPage<Item>(
  db: Db,
  { where, page, view }: { where: Condition; page: PageRequest; view: (row: EventRow) => Item },
): Promise<Page<Item>> {
  const rows = await db
    .selectFrom("events")
    .selectAll()
    .where(where)
    .orderBy("sequence", "desc")
    .limit(page.perPage)
    .offset((page.page - 1) * page.perPage)
    .execute();
  const { count } = await db
    .selectFrom("events")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where(where)
    .executeTakeFirstOrThrow();
  return { ...page, items: rows.map(view), totalCount: count };
}

/** An event as it is shown. */
export function eventOf(row: EventRow): Event {
  return {
    id: row.id,
    type: row.type,
    createdAt: row.created_at,
    appId: row.app_id,
    appName: row.app_name,
    resourceId: row.resource_id,
    actor:
      row.actor_id === null || row.actor_username === null
        ? null
        : { id: row.actor_id, username: row.actor_username, email: row.actor_email ?? "" },
    data: row.data,
    title: eventTitle(row.type),
    text: textOf(row),
  };
}

function auditedEventOf(row: EventRow): AuditedEvent {
  return { ...eventOf(row), address: row.address, apiTokenId: row.api_token_id };
}

function textOf({ type, data }: EventRow): string {
  if (!isEventType(type)) return eventTitle(type);
  // `recordEvent`, which alone adds rows, takes each type with its own data only.
  return eventText(type, data as EventData[typeof type]);
}
