import { type Kysely, sql } from "kysely";

/** Collaborators of apps, browser sessions, SSH keys, second factors, and variables that users set. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Who was invited but has not come yet has an address and no user.
  `create table collaborators (
    id text primary key,
    app_id text not null references apps,
    email text not null,
    user_id text references users on delete cascade,
    role text not null check (role in ('collaborator', 'limited')),
    invitation_hash bytea unique,
    invitation_expires_at timestamptz,
    created_at timestamptz not null default now(),
    accepted_at timestamptz,
    check ((user_id is null) = (accepted_at is null)),
    check ((user_id is null) = (invitation_hash is not null)),
    check ((invitation_hash is null) = (invitation_expires_at is null))
  )`,
  `create unique index collaborators_email on collaborators (app_id, lower(email))`,
  `create unique index collaborators_user on collaborators (user_id, app_id) where user_id is not null`,
  // It goes up when a password changes: logins of before carry the number of before.
  `alter table users add column login_epoch integer not null default 0`,
  `create table browser_sessions (
    id text primary key,
    user_id text not null references users on delete cascade,
    secret_hash bytea not null unique,
    login_epoch integer not null,
    created_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now()
  )`,
  `create index browser_sessions_user on browser_sessions (user_id)`,
  `create table ssh_keys (
    id text primary key,
    user_id text not null references users on delete cascade,
    name text not null,
    content text not null,
    fingerprint text not null,
    created_at timestamptz not null default now()
  )`,
  // A key logs in one user: which one must never be a matter of order.
  `create unique index ssh_keys_fingerprint on ssh_keys (fingerprint)`,
  `create unique index ssh_keys_name on ssh_keys (user_id, name)`,
  `create table second_factors (
    user_id text primary key references users on delete cascade,
    wrapped_secret bytea not null,
    last_step bigint not null default -1,
    created_at timestamptz not null default now(),
    enabled_at timestamptz
  )`,
  `create table recovery_codes (
    user_id text not null references second_factors on delete cascade,
    code_hash bytea not null,
    primary key (user_id, code_hash)
  )`,
  `create table app_variables (
    id text primary key,
    app_id text not null references apps,
    name text not null,
    wrapped_value bytea not null,
    created_at timestamptz not null default now()
  )`,
  `create unique index app_variables_name on app_variables (app_id, name)`,
];
