import { type Kysely, sql } from "kysely";

/** Restores of a database in place: their journal, the timelines that were given out, and the data folders of each database. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // The kinds are a type of the code, which every writer shares.
  `alter table operations drop constraint if exists operations_kind_check`,
  // Name of the folder that its server runs on, below the database's own.
  `alter table databases add column data_folder text not null default 'data'`,
  // Folders that were the live one until another took their place.
  `create table kept_data_folders (
    addon_id text not null references addons,
    name text not null,
    lineage text,
    timeline bigint,
    left_at timestamptz not null,
    kept_until timestamptz not null,
    primary key (addon_id, name)
  )`,
  `create index kept_data_folders_end on kept_data_folders (kept_until)`,
  // Ids of timelines: given out once, never again, also when nothing came of it.
  `create table timelines (
    addon_id text not null references addons,
    timeline bigint not null,
    lineage text,
    parent bigint,
    switch_lsn pg_lsn,
    state text not null check (state in ('given_out', 'live', 'left')),
    live_from timestamptz,
    live_until timestamptz,
    last_recoverable_at timestamptz,
    primary key (addon_id, timeline)
  )`,
  `create table point_in_time_operations (
    operation_id text primary key references operations,
    addon_id text not null references addons,
    request jsonb not null,
    phase text not null default 'scheduled',
    plan jsonb,
    data_folder text,
    timeline bigint,
    switch_lsn pg_lsn,
    done_bytes bigint not null default 0,
    total_bytes bigint not null default 0,
    replayed_lsn pg_lsn,
    replayed_until timestamptz,
    swap_operation_id text references operations,
    stopped_at timestamptz,
    answered_at timestamptz,
    undo_hours integer not null default 0,
    undo_until timestamptz,
    rates jsonb,
    notes jsonb not null default '[]'
  )`,
  `create index point_in_time_operations_addon on point_in_time_operations (addon_id, operation_id desc)`,
  `create index point_in_time_operations_swap on point_in_time_operations (swap_operation_id)`,
];
