import { type Kysely, sql } from "kysely";

/** What the minutely check of each database found last, and when it last ran. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table database_health (
    addon_id text primary key references addons,
    state text not null default 'healthy' check (state in ('healthy', 'delayed', 'stale')),
    state_since timestamptz,
    periodic_overdue_since timestamptz,
    base_backup_overdue_since timestamptz,
    server_lsn pg_lsn,
    retained_wal_bytes bigint,
    wal_status text,
    asked_at timestamptz,
    unanswered_because text
  )`,
  `alter table platform add column health_checked_at timestamptz`,
  `alter table databases add column periodic_changed_at timestamptz`,
];
