import { type Kysely, sql } from "kysely";

/** The daily schedule of databases, the night of each periodic backup, and the removal of old backups. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Databases from before get the default schedule, from the next day on.
  `alter table databases
    add column periodic_backups_enabled boolean not null default true,
    add column periodic_hour_utc integer not null default 0 check (periodic_hour_utc between 0 and 23),
    add column periodic_last_night date not null default (now() at time zone 'utc')::date`,
  `create index databases_periodic on databases (periodic_last_night) where periodic_backups_enabled`,
  `alter table backups
    add column night date,
    add column removal_began_at timestamptz`,
  // One periodic backup for a night, whoever asks.
  `create unique index backups_one_night on backups (addon_id, night) where night is not null`,
  `create index backups_removals on backups (addon_id) where removal_began_at is not null`,
  `alter table operations drop constraint operations_kind_check`,
  `alter table operations add constraint operations_kind_check
    check (kind in ('provision', 'reconfigure', 'remove', 'logical_backup', 'base_backup', 'expire_backups'))`,
];
