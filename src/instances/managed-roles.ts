import { type Client, escapeIdentifier, escapeLiteral } from "pg";
import { type Connection, withSession } from "../postgres/connection.ts";
import { scramVerifier, verifierMatches } from "../postgres/scram.ts";

/** The passwords of one managed server; printable ASCII. */
export interface ManagedPasswords {
  readonly owner: string;
  readonly backup: string;
  readonly replication: string;
}

/** Logical backups: reads everything, row security notwithstanding, and writes nothing. */
export const BACKUP_ROLE = "tidemark_backup";
/** Continuous backups: the replication protocol and nothing more. */
export const REPLICATION_ROLE = "tidemark_replication";

const NO_RIGHTS = "NOSUPERUSER NOCREATEDB NOCREATEROLE";

/**
 * Any number does, as long as it is the same each time: nobody else takes advisory locks in the database `postgres`.
 */
const PROVISION_LOCK = 4711;
/** CREATE DATABASE, the longest statement here, takes seconds. */
const EARLIER_SESSION_TIMEOUT_MS = 60_000;

interface RoleWish {
  readonly name: string;
  /** Attributes as CREATE ROLE spells them. */
  readonly attributes: string;
  readonly password: string;
}

/**
 * Makes, or completes, the roles and the one database of a managed server. `superuser` connects to the database
 * `postgres`; `name` is the owner role's and the database's. May be repeated after any interruption: what is there is
 * kept, a password that differs is set.
 */
export async function provisionRoles(
  superuser: Connection,
  {
    name,
    passwords,
    formerName,
    signal,
  }: {
    readonly name: string;
    readonly passwords: ManagedPasswords;
    /** Of a copy of another database: what role and database were called there. */
    readonly formerName?: string | undefined;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const session = { applicationName: "tidemark provision", ...(signal === undefined ? {} : { signal }) };
  await withSession(superuser, session, async (client) => {
    // The server goes on with the last statement of a session that was cut: wait until that one is over.
    await client.query(`SET lock_timeout = ${EARLIER_SESSION_TIMEOUT_MS}`);
    await client.query("SELECT pg_advisory_lock($1)", [PROVISION_LOCK]);
    if (formerName !== undefined) await takeOverName(superuser, client, { from: formerName, to: name });
    await ensureRole(client, {
      name,
      attributes: `LOGIN ${NO_RIGHTS} NOREPLICATION NOBYPASSRLS`,
      password: passwords.owner,
    });
    await ensureBackupRole(client, passwords.backup);
    await ensureRole(client, {
      name: REPLICATION_ROLE,
      attributes: `LOGIN REPLICATION ${NO_RIGHTS} NOBYPASSRLS`,
      password: passwords.replication,
    });
    await ensureDatabase(client, name);
    await restrictAccess(client, name);
  });
}

/**
 * Gives a copy's database and owner the names of their own. Nothing may be open in a database that gets another name: sessions are ended, and prepared
 * transactions, whose coordinator knows of the original only, are rolled back.
 */
async function takeOverName(
  superuser: Connection,
  client: Client,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const { rowCount: databases } = await client.query("SELECT FROM pg_database WHERE datname = $1", [from]);
  if (databases !== 0) {
    await client.query(`ALTER DATABASE ${escapeIdentifier(from)} CONNECTION LIMIT 0`);
    await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [from]);
    await withSession({ ...superuser, database: from }, { applicationName: "tidemark provision" }, async (inside) => {
      const { rows } = await inside.query<{ gid: string }>("SELECT gid FROM pg_prepared_xacts WHERE database = $1", [
        from,
      ]);
      for (const { gid } of rows) await inside.query(`ROLLBACK PREPARED ${escapeLiteral(gid)}`);
    });
    await client.query(`ALTER DATABASE ${escapeIdentifier(from)} RENAME TO ${escapeIdentifier(to)}`);
  }
  await client.query(`ALTER DATABASE ${escapeIdentifier(to)} CONNECTION LIMIT -1`);
  const { rowCount: roles } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [from]);
  if (roles !== 0) await client.query(`ALTER ROLE ${escapeIdentifier(from)} RENAME TO ${escapeIdentifier(to)}`);
}

async function ensureBackupRole(client: Client, password: string): Promise<void> {
  const attributes = `LOGIN BYPASSRLS ${NO_RIGHTS} NOREPLICATION`;
  await ensureRole(client, { name: BACKUP_ROLE, attributes, password });
  await client.query(`GRANT pg_read_all_data, pg_read_all_stats TO ${BACKUP_ROLE}`);
  // Large objects are outside pg_read_all_data, and any role may own one.
  await client.query(`ALTER ROLE ${BACKUP_ROLE} SET lo_compat_privileges = on`);
  // Membership in the owner's role, below, would allow writing: a slip must not.
  await client.query(`ALTER ROLE ${BACKUP_ROLE} SET default_transaction_read_only = on`);
}

async function ensureRole(client: Client, { name, attributes, password }: RoleWish): Promise<void> {
  const role = escapeIdentifier(name);
  const { rows } = await client.query<{ verifier: string | null }>(
    "SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = $1",
    [name],
  );
  const [present] = rows;
  const verb = present === undefined ? "CREATE" : "ALTER";
  const isKept = present !== undefined && (await verifierMatches(present.verifier ?? "", password));
  const secret = isKept ? "" : ` PASSWORD ${escapeLiteral(await scramVerifier(password))}`;
  await client.query(`${verb} ROLE ${role} ${attributes}${secret}`);
}

/** CREATE DATABASE allows no transaction around it; interrupted, it leaves no row and is simply done again. */
async function ensureDatabase(client: Client, name: string): Promise<void> {
  const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [name]);
  if (rowCount !== 0) return;
  const identifier = escapeIdentifier(name);
  await client.query(`CREATE DATABASE ${identifier} OWNER ${identifier} TEMPLATE template0`);
}

/**
 * The owner owns schema `public` as well: by the role pg_database_owner, which every database's own owner is in; naming
 * it outright would make every dump carry a change of owner.
 */
async function restrictAccess(client: Client, name: string): Promise<void> {
  const database = escapeIdentifier(name);
  await client.query(`GRANT ${database} TO ${BACKUP_ROLE}`);
  for (const each of [database, "postgres", "template1"]) {
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${each} FROM PUBLIC`);
  }
  await client.query(`GRANT CONNECT ON DATABASE ${database}, postgres TO ${BACKUP_ROLE}`);
  // SQL about slots and positions, beside the protocol.
  await client.query(`GRANT CONNECT ON DATABASE postgres TO ${REPLICATION_ROLE}`);
}
