import { escapeIdentifier, escapeLiteral } from "pg";
import { type Connection, withSession } from "../postgres/connection.ts";

/** A role that may log in. */
export interface LoginRole {
  readonly name: string;
  /** What the server keeps of its password; null for one that has none. */
  readonly verifier: string | null;
}

const SESSION = { applicationName: "tidemark roles" } as const;

/** Roles that may log in, with what the server keeps of their passwords. `superuser` connects to any database. */
export async function readLoginRoles(superuser: Connection, signal?: AbortSignal): Promise<readonly LoginRole[]> {
  return await withSession(superuser, { ...SESSION, ...(signal === undefined ? {} : { signal }) }, async (client) => {
    const { rows } = await client.query<LoginRole>(
      "select rolname as name, rolpassword as verifier from pg_authid where rolcanlogin order by rolname",
    );
    return rows;
  });
}

/**
 * Gives the roles of a copy the passwords that they have today, so that whoever may log in now may afterwards. Roles are neither made nor removed.
 *
 * @param today of the server that the copy is to replace
 * @returns roles of today that the copy doesn't have, and roles of the copy that there are none of today
 */
export async function takeOverPasswords(
  superuser: Connection,
  today: readonly LoginRole[],
): Promise<{ readonly gone: readonly string[]; readonly returned: readonly string[] }> {
  const copied = new Map((await readLoginRoles(superuser)).map(({ name, verifier }) => [name, verifier]));
  await withSession(superuser, SESSION, async (client) => {
    for (const { name, verifier } of today) {
      if (!copied.has(name) || copied.get(name) === verifier) continue;
      const password = verifier === null ? "NULL" : escapeLiteral(verifier);
      await client.query(`ALTER ROLE ${escapeIdentifier(name)} PASSWORD ${password}`);
    }
  });
  const names = new Set(today.map(({ name }) => name));
  return {
    gone: [...names].filter((name) => !copied.has(name)),
    returned: [...copied.keys()].filter((name) => !names.has(name)),
  };
}
