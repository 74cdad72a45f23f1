import { Client, type ClientConfig, DatabaseError } from "pg";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";

/** Whether and how a session is encrypted. `verify-full` also checks the server's name against its certificate. */
export type ConnectionTls =
  | { readonly mode: "disable" }
  | { readonly mode: "require" }
  | {
      readonly mode: "verify-full";
      /** Certificates of the authorities to trust, PEM. */
      readonly authorityPem: string;
      /** The same in a file, which PostgreSQL's own programs need. */
      readonly authorityFile: string;
    };

/** Where a server is and who asks. */
export interface Connection {
  /** A name, an address, or the absolute path of the folder that holds the Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Left out where the server knows the caller by its system user. */
  readonly password?: string;
  readonly database: string;
  /** Default: `disable` on a Unix socket; elsewhere programs prefer TLS and `pg` goes without. */
  readonly tls?: ConnectionTls;
}

export interface SessionOptions {
  /** Shown in pg_stat_activity; at most 63 bytes. */
  readonly applicationName: string;
  readonly signal?: AbortSignal;
}

/**
 * A server that doesn't answer at all holds a caller no longer than this; on a loaded machine a login can take seconds.
 */
const CONNECT_TIMEOUT_MS = 15_000;

/** SQLSTATE classes and codes that mean "no server to talk to now": broken connection, shutting down, starting up, no connection left. */
const UNAVAILABLE_STATES = new Set(["57P01", "57P02", "57P03", "53300"]);
const UNAVAILABLE_SYSTEM_CODES = new Set(["ECONNREFUSED", "ECONNRESET", "ENOENT", "EPIPE", "ETIMEDOUT"]);
const CONNECTION_EXCEPTION_CLASS = "08";

export function isSocketFolder(host: string): boolean {
  return host.startsWith("/");
}

/** Settings for a `pg` Client or Pool. */
export function clientConfig(connection: Connection): ClientConfig {
  return {
    host: connection.host,
    port: connection.port,
    user: connection.user,
    ...(connection.password === undefined ? {} : { password: connection.password }),
    database: connection.database,
    ssl: clientTls(connection.tls),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
}

function clientTls(tls: ConnectionTls | undefined): NonNullable<ClientConfig["ssl"]> {
  if (tls === undefined || tls.mode === "disable") return false;
  if (tls.mode === "require") return { rejectUnauthorized: false };
  return { ca: tls.authorityPem, rejectUnauthorized: true };
}

/**
 * The environment that libpq's programs (pg_dump, psql) read. Complete in itself: pass it with a PATH and nothing of
 * the caller's own environment, so that no stray PG variable, password file or service file takes part. The password is
 * here and never among arguments.
 */
export function libpqEnvironment(connection: Connection): Record<string, string> {
  return {
    PGHOST: connection.host,
    PGPORT: String(connection.port),
    PGUSER: connection.user,
    PGDATABASE: connection.database,
    PGPASSFILE: "/dev/null",
    PGSERVICEFILE: "/dev/null",
    PGGSSENCMODE: "disable",
    PGCONNECT_TIMEOUT: String(CONNECT_TIMEOUT_MS / 1000),
    PGSSLMODE: connection.tls?.mode ?? (isSocketFolder(connection.host) ? "disable" : "prefer"),
    ...(connection.tls?.mode === "verify-full" ? { PGSSLROOTCERT: connection.tls.authorityFile } : {}),
    ...(connection.password === undefined ? {} : { PGPASSWORD: connection.password }),
  };
}

/**
 * `postgresql://user:password@host:port/database?sslmode=prefer`, every part escaped; an IPv6 address in brackets.
 * Holds the password: for the owner's eyes only.
 */
export function connectionUri(connection: Connection): string {
  const password = connection.password === undefined ? "" : `:${encodeURIComponent(connection.password)}`;
  const host = connection.host.includes(":") ? `[${connection.host}]` : encodeURIComponent(connection.host);
  const mode = connection.tls?.mode ?? "prefer";
  return `postgresql://${encodeURIComponent(connection.user)}${password}@${host}:${connection.port}/${encodeURIComponent(connection.database)}?sslmode=${mode}`;
}

/**
 * Opens a session, runs `work` on it and closes it, whatever happens. Aborting cuts the connection and rejects with the
 * signal's reason. `server_not_running` when nobody answers or the server is starting or stopping; other errors of the
 * server pass as they are.
 */
export async function withSession<T>(
  connection: Connection,
  { applicationName, signal }: SessionOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const client = new Client({ ...clientConfig(connection), application_name: applicationName });
  // A connection that breaks between two queries is met by the next query; without a listener it would end the process.
  client.on("error", () => undefined);
  const cut = (): void => void client.end().catch(() => undefined);
  signal?.addEventListener("abort", cut, { once: true });
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    signal?.throwIfAborted();
    throw isUnavailable(error) ? serverNotRunning(connection, error) : error;
  } finally {
    signal?.removeEventListener("abort", cut);
    // Best effort: the work is done or has failed already, and the server frees a broken session by itself.
    await client.end().catch(() => undefined);
  }
}

/**
 * Whether a failure means that there is no server to talk to now: none that listens, one that is starting or stopping or has no connection left, or one whose
 * connection broke.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseError) {
    return UNAVAILABLE_STATES.has(error.code ?? "") || (error.code ?? "").startsWith(CONNECTION_EXCEPTION_CLASS);
  }
  const code = systemErrorCode(error);
  if (code !== undefined) return UNAVAILABLE_SYSTEM_CODES.has(code);
  // For a connection that broke under a query or timed out, `pg` throws a bare Error without a code; nothing of ours does.
  return error instanceof Error && Object.getPrototypeOf(error) === Error.prototype;
}

function serverNotRunning({ host, port }: Connection, cause: unknown): TidemarkError {
  return new TidemarkError("server_not_running", `Cannot reach the database server at "${host}", port ${port}`, {
    cause,
    hint: "Start the server, or wait until it has started, and try again.",
  });
}
