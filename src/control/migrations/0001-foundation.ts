import { type Kysely, sql } from "kysely";

/** Users, apps, databases, operations and backups. Migrations go forward only. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table platform (
    id integer primary key default 1 check (id = 1),
    installation_id text not null,
    wrapped_jwt_key bytea not null,
    wrapped_url_key bytea not null,
    sample_state text not null default 'none'
      check (sample_state in ('none', 'provisioning', 'loading', 'backing_up', 'done')),
    swept_at timestamptz not null default '-infinity',
    created_at timestamptz not null default now()
  )`,
  `create table users (
    id text primary key,
    username text not null,
    email text not null,
    fullname text not null,
    password_hash text not null,
    is_platform_owner boolean not null,
    created_at timestamptz not null default now()
  )`,
  `create unique index users_username on users (lower(username))`,
  `create unique index users_email on users (lower(email))`,
  `create unique index users_platform_owner on users (is_platform_owner) where is_platform_owner`,
  `create table api_tokens (
    id text primary key,
    user_id text not null references users on delete cascade,
    name text not null,
    secret_hash bytea not null unique,
    created_at timestamptz not null default now(),
    last_used_at timestamptz
  )`,
  `create index api_tokens_user on api_tokens (user_id)`,
  `create table login_attempts (
    key text primary key,
    failures integer not null,
    window_started_at timestamptz not null
  )`,
  `create table apps (
    id text primary key,
    name text not null,
    owner_id text not null references users,
    created_at timestamptz not null default now(),
    removed_at timestamptz
  )`,
  `create unique index apps_name on apps (name) where removed_at is null`,
  `create index apps_owner on apps (owner_id)`,
  `create sequence resource_number start with 1001`,
  `create table addons (
    id text primary key,
    app_id text not null references apps,
    name text not null,
    resource_id text not null unique,
    plan_name text not null,
    state text not null check (state in ('provisioning', 'running', 'removing', 'removed')),
    created_at timestamptz not null default now(),
    provisioned_at timestamptz,
    removed_at timestamptz
  )`,
  `create unique index addons_name on addons (app_id, name) where state in ('provisioning', 'running')`,
  `create table databases (
    addon_id text primary key references addons,
    host_id text not null,
    major integer not null,
    port integer,
    version text,
    status text not null check (status in ('creating', 'running', 'stopped')),
    status_reason text,
    wrapped_owner_password bytea not null,
    wrapped_backup_password bytea not null,
    wrapped_replication_password bytea not null,
    recipient text not null,
    wrapped_identity bytea not null,
    created_at timestamptz not null default now()
  )`,
  `create unique index databases_port on databases (host_id, port) where port is not null`,
  `create table operations (
    id text primary key,
    kind text not null check (kind in ('provision', 'remove', 'logical_backup')),
    addon_id text not null references addons,
    state text not null default 'scheduled' check (state in ('scheduled', 'running', 'done', 'error')),
    attempt integer not null default 0,
    run_after timestamptz not null default now(),
    lease_owner text,
    lease_until timestamptz,
    cancel_requested boolean not null default false,
    progress_bytes bigint not null default 0,
    requested_by text references users,
    error_code text,
    error_message text,
    error_hint text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at timestamptz,
    check ((state = 'error') = (error_code is not null)),
    check ((ended_at is not null) = (state in ('done', 'error')))
  )`,
  `create index operations_open on operations (run_after) where state in ('scheduled', 'running')`,
  // One at a time for a database: the claim is this index, not a read before an insert.
  `create unique index operations_one_open on operations (addon_id, kind) where state in ('scheduled', 'running')`,
  `create table backups (
    id text primary key,
    addon_id text not null references addons,
    operation_id text not null references operations,
    method text not null check (method in ('periodic', 'manual')),
    name text,
    size_bytes bigint,
    sha256 text,
    created_at timestamptz not null default now()
  )`,
  `create index backups_addon on backups (addon_id, id desc)`,
];
