import { type Kysely, sql } from "kysely";

/** How large each database is, and how lag and size went in the last days. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table database_health add column size_bytes bigint`,
  // One row for a few minutes: the largest lag in them, and the last size.
  `create table database_samples (
    addon_id text not null references addons,
    at timestamptz not null,
    lag_ms bigint,
    size_bytes bigint,
    primary key (addon_id, at)
  )`,
  `create index database_samples_at on database_samples (at)`,
];
