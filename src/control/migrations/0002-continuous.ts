import { type Kysely, sql } from "kysely";

/** Base backups, streams of write-ahead log, lineages and gaps: the index of what the repository holds for point-in-time recovery. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table operations drop constraint operations_kind_check`,
  `alter table operations add constraint operations_kind_check
    check (kind in ('provision', 'reconfigure', 'remove', 'logical_backup', 'base_backup'))`,
  `alter table databases add column wal_protection text not null default 'database'
    check (wal_protection in ('database', 'chain'))`,
  `create table lineages (
    id text primary key,
    addon_id text not null references addons,
    system_id text not null,
    reason text not null,
    begun_at timestamptz not null,
    ended_at timestamptz,
    last_recoverable_at timestamptz
  )`,
  `create index lineages_addon on lineages (addon_id, id)`,
  `create table base_backups (
    id text primary key,
    addon_id text not null references addons,
    lineage text not null,
    timeline bigint not null,
    start_lsn pg_lsn not null,
    stop_lsn pg_lsn not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    data_bytes bigint not null,
    stored_bytes bigint not null,
    suspect_pages bigint not null
  )`,
  `create index base_backups_addon on base_backups (addon_id, id desc)`,
  `create table wal_gaps (
    addon_id text not null references addons,
    lineage text not null,
    timeline bigint not null,
    from_lsn pg_lsn not null,
    to_lsn pg_lsn not null,
    last_recoverable_at timestamptz,
    found_at timestamptz not null,
    primary key (addon_id, lineage, timeline, from_lsn)
  )`,
  // One row for each database whose log is streamed: who does it, and how far it has come.
  `create table wal_streams (
    addon_id text primary key references addons,
    lease_owner text,
    lease_until timestamptz,
    state text not null,
    state_reason text,
    lineage text,
    timeline bigint,
    stored_lsn pg_lsn,
    latest_recoverable_at timestamptz,
    rebase_reason text,
    updated_at timestamptz not null default now()
  )`,
];
