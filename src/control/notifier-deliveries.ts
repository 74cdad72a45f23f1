import { type Kysely, type Selectable, sql } from "kysely";
import type { TidemarkError } from "../core/errors.ts";
import { retryDelayMs } from "../notify/retry.ts";
import { eventOf } from "./event-pages.ts";
import type { Event } from "./event-service.ts";
import type { NotifierRow } from "./notifier-rows.ts";
import type { NotifierDeliveryTable } from "./notifier-schema.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;
type DeliveryRow = Selectable<NotifierDeliveryTable>;

/** Longer than an attempt may take: only a dead process's attempt is taken over. */
const LEASE_SECONDS = 120;
/** What one statement routes; the rest waits for the next. */
const ROUTED_PER_TURN_MAX = 500;
/** Waiting for one notifier: older ones are dropped, and the log says so. */
export const WAITING_PER_NOTIFIER_MAX = 500;
/** How long the log keeps what has ended. */
const LOG_DAYS = 30;

/** An id like `newObjectId` makes, in SQL: time of day in milliseconds, then random digits. */
const NEW_ID = sql<string>`lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
  || left(replace(gen_random_uuid()::text, '-', ''), 12)`;

/** Asks the notifiers of each new event's app whether they want it. An event and its deliveries are one statement: none is asked twice, none is left out. */
export async function routeEvents(db: Db): Promise<void> {
  await sql`
    with taken as (
      select sequence from events where routed_at is null order by sequence limit ${ROUTED_PER_TURN_MAX} for update skip locked
    ), routed as (
      update events set routed_at = now() from taken where events.sequence = taken.sequence
      returning events.sequence, events.type, events.app_id
    )
    insert into notifier_deliveries (id, notifier_id, event_sequence)
    select ${NEW_ID}, notifiers.id, routed.sequence
    from routed join notifiers on notifiers.app_id = routed.app_id
    where notifiers.is_active and (notifiers.sends_all_events or routed.type = any (notifiers.selected_events))
    order by routed.sequence`.execute(db);
}

/** A delivery to attempt now, with all that it needs. */
export interface ClaimedDelivery {
  readonly delivery: DeliveryRow;
  readonly notifier: NotifierRow;
  readonly appName: string;
  /** Undefined for a test. */
  readonly event: Event | undefined;
}

/** Takes the oldest delivery that is due and whose notifier is not being told something else. Undefined when there is none. */
export async function claimDelivery(db: Db): Promise<ClaimedDelivery | undefined> {
  const { rows } = await sql<DeliveryRow>`
    update notifier_deliveries set attempt = attempt + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
    where id = (
      select id from notifier_deliveries as due
      where state = 'waiting' and run_after <= now() and (lease_until is null or lease_until < now())
        and not exists (
          select from notifier_deliveries as other
          where other.notifier_id = due.notifier_id and other.state = 'waiting' and other.lease_until > now()
        )
      order by id limit 1 for update skip locked
    ) returning *`.execute(db);
  const [delivery] = rows;
  if (delivery === undefined) return undefined;
  const { app_name: appName, ...notifier } = await db
    .selectFrom("notifiers")
    .innerJoin("apps", "apps.id", "notifiers.app_id")
    .selectAll("notifiers")
    .select("apps.name as app_name")
    .where("notifiers.id", "=", delivery.notifier_id)
    .executeTakeFirstOrThrow();
  const row =
    delivery.event_sequence === null
      ? undefined
      : await db
          .selectFrom("events")
          .selectAll()
          .where("sequence", "=", delivery.event_sequence)
          .executeTakeFirstOrThrow();
  return { delivery, notifier, appName, event: row === undefined ? undefined : eventOf(row) };
}

export type DeliveryEnd =
  | { readonly kind: "delivered"; readonly reply: string }
  | { readonly kind: "failed"; readonly error: TidemarkError }
  /** The platform is stopping: as if it had not been tried. */
  | { readonly kind: "given_back" };

/** Records how an attempt went; nothing where another process has taken the delivery over, or it is gone with its notifier. */
export async function endAttempt(
  db: Db,
  { delivery, end, durationMs }: { delivery: DeliveryRow; end: DeliveryEnd; durationMs: number },
): Promise<void> {
  await db
    .updateTable("notifier_deliveries")
    .set({ lease_until: null, ...changesOf(end, delivery.attempt, durationMs) })
    .where("id", "=", delivery.id)
    .where("attempt", "=", delivery.attempt)
    .where("state", "=", "waiting")
    .execute();
}

function changesOf(end: DeliveryEnd, attempt: number, durationMs: number) {
  if (end.kind === "given_back") return { attempt: attempt - 1 };
  const ended = { ended_at: sql<Date>`now()`, duration_ms: Math.round(durationMs) };
  if (end.kind === "delivered") return { ...ended, state: "delivered" as const, reply: end.reply };
  const { message, hint, kind } = end.error;
  const reply = hint === undefined ? message : `${message}. ${hint}`;
  const delayMs = kind === "transient" ? retryDelayMs(attempt) : undefined;
  if (delayMs === undefined) return { ...ended, state: "failed" as const, reply };
  return {
    duration_ms: Math.round(durationMs),
    reply,
    run_after: sql<Date>`now() + make_interval(secs => ${delayMs / 1000})`,
  };
}

/** Drops what a notifier can't be told any more, and old entries of the log. */
export async function tidyDeliveries(db: Db): Promise<void> {
  await sql`
    update notifier_deliveries set state = 'failed', ended_at = now(), lease_until = null,
      reply = ${`Dropped: more than ${WAITING_PER_NOTIFIER_MAX} newer notifications wait for this notifier`}
    where id in (
      select id from (
        select id, row_number() over (partition by notifier_id order by id desc) as place
        from notifier_deliveries where state = 'waiting'
      ) as waiting where place > ${WAITING_PER_NOTIFIER_MAX}
    )`.execute(db);
  await sql`delete from notifier_deliveries where ended_at < now() - make_interval(days => ${LOG_DAYS})`.execute(db);
}
