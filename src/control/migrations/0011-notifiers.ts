import { type Kysely, sql } from "kysely";

/** Who is told what by which channel, and what was told. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table notifiers (
    id text primary key,
    app_id text not null references apps,
    name text not null,
    platform text not null check (platform in ('email', 'webhook', 'slack', 'rocket_chat')),
    is_active boolean not null,
    is_default boolean not null default false,
    sends_all_events boolean not null,
    selected_events text[] not null,
    emails text[] not null,
    user_ids text[] not null,
    wrapped_address bytea,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((platform = 'email') = (wrapped_address is null))
  )`,
  `create index notifiers_app on notifiers (app_id)`,
  // An event is told to a notifier once; a test has no event.
  `create table notifier_deliveries (
    id text primary key,
    notifier_id text not null references notifiers on delete cascade,
    event_sequence bigint,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    attempt integer not null default 0,
    run_after timestamptz not null default now(),
    lease_until timestamptz,
    reply text,
    duration_ms integer,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    unique (notifier_id, event_sequence)
  )`,
  `create index notifier_deliveries_waiting on notifier_deliveries (id) where state = 'waiting'`,
  `create index notifier_deliveries_ended on notifier_deliveries (ended_at) where ended_at is not null`,
];
