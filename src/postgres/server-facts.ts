import type pg from "pg";

export interface ServerVersion {
  /** `server_version_num`: 150018. */
  readonly number: number;
  readonly major: number;
  /** `15.18` */
  readonly version: string;
  /** `version()`: with platform and compiler. */
  readonly text: string;
}

export interface AvailableExtension {
  readonly name: string;
  readonly defaultVersion: string;
  /** Null where the session's database doesn't have it. */
  readonly installedVersion: string | null;
  /** An owner of the database may create it without being superuser. */
  readonly isTrusted: boolean;
}

/** The server's version as the server says it. Any role may ask. */
export async function readServerVersion(client: pg.ClientBase): Promise<ServerVersion> {
  const { rows } = await client.query<{ number: number; version: string; text: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version, version() as text`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the server answered its version with no row");
  return {
    number: row.number,
    major: Math.floor(row.number / 10_000),
    version: row.version.split(" ")[0] ?? row.version,
    text: row.text,
  };
}

/** Identity of the cluster, given by initdb and kept by every copy. A 64-bit number, so text. */
export async function readSystemIdentifier(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query<{ id: string }>("select system_identifier::text as id from pg_control_system()");
  const [row] = rows;
  if (row === undefined) throw new Error("the server answered its system identifier with no row");
  return row.id;
}

/** Extensions that the server's installation offers, by name. Any role may ask. */
export async function listExtensions(client: pg.ClientBase): Promise<AvailableExtension[]> {
  const { rows } = await client.query<AvailableExtension>(
    `select a.name, a.default_version as "defaultVersion", a.installed_version as "installedVersion",
            coalesce(v.trusted, false) as "isTrusted"
       from pg_available_extensions a
       left join pg_available_extension_versions v on v.name = a.name and v.version = a.default_version
      order by a.name`,
  );
  return rows;
}
