import { type Client, DatabaseError, escapeIdentifier, escapeLiteral } from "pg";
import { TidemarkError } from "../core/errors.ts";
import { type Connection, withSession } from "../postgres/connection.ts";
import { scramVerifier } from "../postgres/scram.ts";
import { BACKUP_ROLE, REPLICATION_ROLE } from "./managed-roles.ts";
import { SUPERUSER } from "./server-definition.ts";

/** A role of one server that may log in. */
export interface ServerUser {
  readonly name: string;
  readonly isReadOnly: boolean;
  readonly hasPassword: boolean;
}

/** One managed server as its superuser, in the database of which `owner` is the owner, and the name. */
export interface UsersPlace {
  readonly superuser: Connection;
  readonly owner: string;
}

/** Groups that can't log in: what a user may do is what its group may. They are made with the first user. */
const READERS = "tidemark_readers";
const WRITERS = "tidemark_writers";
const PLATFORM_ROLES = [SUPERUSER, BACKUP_ROLE, REPLICATION_ROLE];

/** A session of the database's own users can hold a lock for longer than anybody waits for an answer. */
const LOCK_TIMEOUT_MS = 10_000;
/** For a session to notice that it is ended. */
const SESSION_END_TIMEOUT_MS = 5_000;
/** Two calls at once would make the groups twice. Any number does, as long as it is the same each time. */
const USERS_LOCK = 4712;

const DUPLICATE_OBJECT = "42710";
const UNDEFINED_OBJECT = "42704";
const LOCK_NOT_AVAILABLE = "55P03";

/** By name, the owner first. The platform's own roles are not among them. */
export async function listServerUsers({ superuser, owner }: UsersPlace): Promise<ServerUser[]> {
  return await withSession(superuser, { applicationName: "tidemark users" }, async (client) => {
    const { rows } = await client.query<{ name: string; read_only: boolean; has_password: boolean }>(
      `select role.rolname as name, role.rolpassword is not null as has_password,
         exists (select from pg_catalog.pg_auth_members as member
           join pg_catalog.pg_roles as groups on groups.oid = member.roleid
           where member.member = role.oid and groups.rolname = $1) as read_only
       from pg_catalog.pg_authid as role
       where rolcanlogin and not rolname = any ($2)
       order by role.rolname <> $3, role.rolname`,
      [READERS, PLATFORM_ROLES, owner],
    );
    return rows.map((row) => ({ name: row.name, isReadOnly: row.read_only, hasPassword: row.has_password }));
  });
}

/**
 * Makes a role that may log in. A read-only one reads every table of the owner, those that are there and those to come; any other writes and makes some as well, and
 * the owner has every right to them. `conflict` when the name is taken.
 *
 * @param password printable ASCII; the server is told its verifier only.
 */
export async function createServerUser(
  { superuser, owner }: UsersPlace,
  { name, password, isReadOnly }: { name: string; password: string; isReadOnly: boolean },
): Promise<void> {
  const verifier = await scramVerifier(password);
  await inTransaction(superuser, async (client) => {
    await ensureGroups(client, owner);
    const role = escapeIdentifier(name);
    const rights = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";
    const group = isReadOnly ? READERS : WRITERS;
    await client.query(`CREATE ROLE ${role} LOGIN ${rights} IN ROLE ${group} PASSWORD ${escapeLiteral(verifier)}`);
    // The owner, and through it backups, may do everything with what the user makes.
    await client.query(`GRANT ${role} TO ${escapeIdentifier(owner)}`);
    if (!isReadOnly) await shareFutureObjects(client, name);
  });
}

/** `not_found` when there is no such role. */
export async function setServerUserPassword(
  { superuser }: UsersPlace,
  { name, password }: { name: string; password: string },
): Promise<void> {
  const verifier = await scramVerifier(password);
  await inTransaction(superuser, async (client) => {
    await client.query(`ALTER ROLE ${escapeIdentifier(name)} PASSWORD ${escapeLiteral(verifier)}`);
  });
}

/** Ends the role's sessions, gives what it owns to the owner, and removes it. `not_found` when there is no such role. */
export async function removeServerUser({ superuser, owner }: UsersPlace, name: string): Promise<void> {
  const role = escapeIdentifier(name);
  // Committed by itself: no session begins while the others end.
  await inTransaction(superuser, async (client) => {
    await client.query(`ALTER ROLE ${role} NOLOGIN`);
  });
  await inTransaction(superuser, async (client) => {
    await client.query(
      "select pg_catalog.pg_terminate_backend(pid, $2) from pg_catalog.pg_stat_activity where usename = $1",
      [name, SESSION_END_TIMEOUT_MS],
    );
    await client.query(`REASSIGN OWNED BY ${role} TO ${escapeIdentifier(owner)}`);
    // What is left are rights: of the role, and to it.
    await client.query(`DROP OWNED BY ${role}`);
    await client.query(`DROP ROLE ${role}`);
  });
}

/** Makes the groups, and gives them their rights to what is there; may be repeated. */
async function ensureGroups(client: Client, owner: string): Promise<void> {
  for (const group of [READERS, WRITERS]) {
    const { rowCount } = await client.query("select from pg_catalog.pg_roles where rolname = $1", [group]);
    if (rowCount === 0) await client.query(`CREATE ROLE ${group} NOLOGIN`);
  }
  const database = escapeIdentifier(owner);
  await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${READERS}, ${WRITERS}`);
  await client.query(`GRANT TEMPORARY ON DATABASE ${database} TO ${WRITERS}`);
  const { rows } = await client.query<{ name: string }>(
    `select nspname as name from pg_catalog.pg_namespace
     where nspname not like 'pg\\_%' and nspname <> 'information_schema'`,
  );
  for (const { name } of rows) {
    const schema = escapeIdentifier(name);
    await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${READERS}, ${WRITERS}`);
    await client.query(`GRANT CREATE ON SCHEMA ${schema} TO ${WRITERS}`);
    for (const { kind, readers, writers } of OBJECT_RIGHTS) {
      await client.query(`GRANT ${readers} ON ALL ${kind} IN SCHEMA ${schema} TO ${READERS}`);
      await client.query(`GRANT ${writers} ON ALL ${kind} IN SCHEMA ${schema} TO ${WRITERS}`);
    }
  }
  await shareFutureObjects(client, owner);
}

const OBJECT_RIGHTS = [
  { kind: "TABLES", readers: "SELECT", writers: "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER" },
  { kind: "SEQUENCES", readers: "SELECT", writers: "SELECT, USAGE, UPDATE" },
] as const;

/** Whatever this role makes from now on, both groups get their rights to. */
async function shareFutureObjects(client: Client, maker: string): Promise<void> {
  const defaults = `ALTER DEFAULT PRIVILEGES FOR ROLE ${escapeIdentifier(maker)}`;
  for (const { kind, readers, writers } of OBJECT_RIGHTS) {
    await client.query(`${defaults} GRANT ${readers} ON ${kind} TO ${READERS}`);
    await client.query(`${defaults} GRANT ${writers} ON ${kind} TO ${WRITERS}`);
  }
  await client.query(`${defaults} GRANT USAGE ON SCHEMAS TO ${READERS}, ${WRITERS}`);
  await client.query(`${defaults} GRANT CREATE ON SCHEMAS TO ${WRITERS}`);
}

/** Nothing of a statement that failed is in the server's log: it would hold a verifier. */
async function inTransaction(superuser: Connection, work: (client: Client) => Promise<void>): Promise<void> {
  await withSession(superuser, { applicationName: "tidemark users" }, async (client) => {
    await client.query("SET log_min_error_statement = panic");
    await client.query("SET search_path = pg_catalog");
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query("BEGIN");
    try {
      await client.query("SELECT pg_catalog.pg_advisory_xact_lock($1)", [USERS_LOCK]);
      await work(client);
      await client.query("COMMIT");
    } catch (error) {
      throw refusalOf(error);
    }
  });
}

function refusalOf(error: unknown): unknown {
  const state = error instanceof DatabaseError ? error.code : undefined;
  if (state === DUPLICATE_OBJECT) {
    return new TidemarkError("conflict", "The database has a user of this name already", { cause: error });
  }
  if (state === UNDEFINED_OBJECT) {
    return new TidemarkError("not_found", "The database has no user of this name", { cause: error });
  }
  if (state === LOCK_NOT_AVAILABLE) {
    return new TidemarkError("conflict", `A session of the database holds a lock for more than ${LOCK_TIMEOUT_MS} ms`, {
      cause: error,
      hint: "Try again when its long transactions have ended: select * from pg_stat_activity shows them.",
    });
  }
  return error;
}
