import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { Client, type ClientConfig, escapeIdentifier } from "pg";
import { program } from "../harness/postgres-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);

/** Downloads an archive and restores it with stock tools into a database that is empty. */
export async function restoreArchive(
  cleanUp: CleanUp,
  { url, target }: { url: string; target: ClientConfig },
): Promise<void> {
  const folder = await makeTempFolder(cleanUp);
  const response = await fetch(url);
  if (response.body === null || response.status !== 200) throw new Error(`The download answers ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(join(folder, "archive.tar.gz")));
  await run("tar", ["-xzf", "archive.tar.gz"], { cwd: folder });
  const files = await readdir(folder, { recursive: true });
  const dump = files.find((name) => name.endsWith(".pgsql")) ?? "";
  const place = [
    "--host",
    String(target.host),
    "--port",
    String(target.port),
    "--username",
    String(target.user),
    "--dbname",
    String(target.database),
  ];
  await run(program("pg_restore"), [...place, "--no-owner", "--no-privileges", "--exit-on-error", join(folder, dump)]);
}

/** Every table's rows, every sequence's position and every large object, as hashes: equal for databases that hold the same. */
export async function contentsOf(database: ClientConfig): Promise<Record<string, string>> {
  const client = new Client(database);
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string; schema: string; kind: "r" | "S" }>(
      `select relname as name, nspname as schema, relkind as kind from pg_class join pg_namespace n on n.oid = relnamespace
       where relkind in ('r', 'S') and nspname !~ '^pg_' and nspname <> 'information_schema' order by 2, 1`,
    );
    const contents: Record<string, string> = {};
    for (const { name, schema, kind } of rows) {
      const relation = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
      const hash = "count(*) || ' rows, ' || coalesce(sum(hashtextextended(row::text, 0)), 0)";
      const value = kind === "S" ? "last_value || ', ' || is_called" : hash;
      contents[relation] = await oneText(client, `select ${value} as value from ${relation} as row`);
    }
    contents["large objects"] = await oneText(
      client,
      "select string_agg(md5(lo_get(oid)), ' ' order by oid) as value from pg_largeobject_metadata",
    );
    return contents;
  } finally {
    await client.end();
  }
}

async function oneText(client: Client, text: string): Promise<string> {
  const { rows } = await client.query<{ value: string | null }>(text);
  return rows[0]?.value ?? "none";
}
