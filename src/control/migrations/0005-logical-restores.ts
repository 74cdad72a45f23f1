import { type Kysely, sql } from "kysely";

/** Restores of dumps, and how fast this platform's machines restore. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // The kinds are a type of the code, which every writer shares.
  `alter table operations drop constraint if exists operations_kind_check`,
  // The backup may expire, and its database be removed: the account of the restore stays.
  `create table logical_restores (
    id text primary key,
    operation_id text not null references operations,
    addon_id text not null references addons,
    source_addon_id text not null references addons,
    backup_id text not null,
    total_bytes bigint,
    restored integer,
    failed integer,
    kept integer,
    unknown integer,
    objects jsonb,
    created_at timestamptz not null
  )`,
  `create index logical_restores_addon on logical_restores (addon_id, id desc)`,
  `create table restore_rates (
    host_id text primary key,
    fetch_bytes_per_second double precision not null,
    replay_bytes_per_second double precision not null,
    measured_at timestamptz not null
  )`,
];
