import { type Kysely, sql } from "kysely";

/** One-off containers: what runs, and what ran last. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table one_offs (
    id text primary key,
    app_id text not null references apps,
    number integer not null,
    command text not null,
    size text not null,
    is_detached boolean not null,
    state text not null default 'starting' check (state in ('starting', 'running', 'ended')),
    host_id text not null,
    started_by text references users on delete set null,
    created_at timestamptz not null default now(),
    ready_at timestamptz,
    ended_at timestamptz,
    exit_code integer,
    end_reason text,
    error_code text,
    error_message text,
    error_hint text,
    unique (app_id, number),
    check ((state = 'ended') = (ended_at is not null))
  )`,
  `create index one_offs_live on one_offs (app_id) where state <> 'ended'`,
];
