import { type Kysely, sql } from "kysely";

/** What happened, to whom and by whom: timelines, the audit and notifications are all read from here. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // No foreign keys: the record outlives what it tells of.
  `create table events (
    sequence bigint generated always as identity primary key,
    id text not null unique,
    type text not null,
    created_at timestamptz not null,
    actor_id text,
    actor_username text,
    actor_email text,
    api_token_id text,
    address text,
    app_id text,
    app_name text,
    addon_id text,
    resource_id text,
    subject_user_id text,
    data jsonb not null,
    routed_at timestamptz,
    check ((actor_id is null) = (actor_username is null))
  )`,
  `create index events_app on events (app_id, sequence desc) where app_id is not null`,
  `create index events_actor on events (actor_id, sequence desc) where app_id is null`,
  `create index events_subject on events (subject_user_id, sequence desc) where app_id is null`,
  // What no notifier has been asked about yet.
  `create index events_unrouted on events (sequence) where routed_at is null`,
];
