import { type Kysely, sql } from "kysely";

/** The key by which clients know the SSH gateway: one for all gateways of an installation. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [`alter table platform add column wrapped_ssh_host_key bytea, add column ssh_host_public_key text`];
