import { Client, type ClientConfig, escapeIdentifier } from "pg";
import { runProgram } from "./postgres-server.ts";

/** All that a database holds, in a form in which two databases can be compared. */
export interface DatabaseContents {
  /** By schema and name: how many rows, and a digest of all of them. Tables, partitions and filled materialised views. */
  readonly tables: Readonly<Record<string, string>>;
  /** By schema and name: where it stands and how it counts. */
  readonly sequences: Readonly<Record<string, string>>;
  /** By number: size and digest. */
  readonly largeObjects: Readonly<Record<string, string>>;
}

/** Reads everything as a superuser, so that no row is hidden by row-level security. */
export async function readContents(superuser: ClientConfig): Promise<DatabaseContents> {
  const client = new Client(superuser);
  await client.connect();
  try {
    return {
      tables: await readTables(client),
      sequences: await readSequences(client),
      largeObjects: await readLargeObjects(client),
    };
  } finally {
    await client.end();
  }
}

/** The definitions of everything in a database, as pg_dump writes them, without what is each database's own. */
export async function readSchema(uri: string): Promise<string> {
  const args = ["--schema-only", "--no-owner", "--no-privileges", "--no-comments", `--dbname=${uri}`];
  const dump = await runProgram("pg_dump", args);
  // pg_dump guards its scripts with a random word, new each time.
  return dump.replaceAll(/^\\(un)?restrict .*$/gm, "");
}

async function readTables(client: Client): Promise<Record<string, string>> {
  const tables: Record<string, string> = {};
  for (const { schema, name } of await relations(client, "r", "m")) {
    const from = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
    const { rows } = await client.query<{ digest: string }>(
      `select count(*) || ' rows, ' || coalesce(md5(string_agg(t::text, e'\\n' order by t::text collate "C")), '-') as digest
       from only ${from} t`,
    );
    tables[`${schema}.${name}`] = rows[0]?.digest ?? "";
  }
  return tables;
}

async function readSequences(client: Client): Promise<Record<string, string>> {
  const sequences: Record<string, string> = {};
  for (const { schema, name } of await relations(client, "S")) {
    const from = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
    const { rows } = await client.query(
      `select s.last_value, s.is_called, d.data_type, d.start_value, d.min_value, d.max_value, d.increment_by, d.cycle, d.cache_size
       from ${from} s, pg_sequences d where d.schemaname = $1 and d.sequencename = $2`,
      [schema, name],
    );
    sequences[`${schema}.${name}`] = JSON.stringify(rows[0]);
  }
  return sequences;
}

async function readLargeObjects(client: Client): Promise<Record<string, string>> {
  const { rows } = await client.query<{ oid: string; digest: string }>(
    "select oid::text, length(lo_get(oid)) || ' bytes, ' || md5(lo_get(oid)) as digest from pg_largeobject_metadata",
  );
  return Object.fromEntries(rows.map(({ oid, digest }) => [oid, digest]));
}

async function relations(client: Client, ...kinds: string[]): Promise<{ schema: string; name: string }[]> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = any ($1) and c.relispopulated and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2`,
    [kinds],
  );
  return rows;
}
