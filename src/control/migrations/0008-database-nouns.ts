import { type Kysely, sql } from "kysely";

/** Changes of plan, features, maintenance windows and what is done in them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // The kinds are a type of the code, which every writer shares; a list here as well would have to grow with each of them.
  `alter table operations drop constraint if exists operations_kind_check`,
  // The plan that a change under way leads to.
  `alter table addons add column next_plan_name text`,
  `alter table databases
    add column maintenance_weekday_utc integer not null default 2 check (maintenance_weekday_utc between 0 and 6),
    add column maintenance_hour_utc integer not null default 22 check (maintenance_hour_utc between 0 and 23),
    add column maintenance_duration_hours integer not null default 8 check (maintenance_duration_hours between 1 and 24),
    add column settings_wanted integer not null default 0`,
  `create table database_features (
    addon_id text not null references addons,
    name text not null check (name in ('force-ssl', 'publicly-available')),
    status text not null check (status in ('PENDING', 'ACTIVATED')),
    created_at timestamptz not null default now(),
    primary key (addon_id, name)
  )`,
  `create table maintenances (
    id text primary key,
    addon_id text not null references addons,
    type text not null check (type in ('minor_upgrade', 'restart')),
    status text not null check (status in ('scheduled', 'running', 'done', 'failed', 'cancelled')),
    reason text not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at timestamptz
  )`,
  `create index maintenances_addon on maintenances (addon_id, id desc)`,
  `create unique index maintenances_one_open on maintenances (addon_id) where status in ('scheduled', 'running')`,
];
