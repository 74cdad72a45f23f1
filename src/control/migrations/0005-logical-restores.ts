import { type Kysely, sql } from "kysely";

/** Restores of dumps, and databases that are made from another one's continuous backups. */
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
  `create table addon_copies (
    operation_id text primary key references operations,
    addon_id text not null unique references addons,
    source_addon_id text not null references addons,
    target text not null,
    is_exclusive boolean not null,
    branch bigint,
    total_bytes bigint,
    target_lsn pg_lsn
  )`,
  `create index logical_restores_addon on logical_restores (addon_id, id desc)`,
];
