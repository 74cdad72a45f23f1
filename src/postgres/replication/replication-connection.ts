import { Client, type ClientConfig } from "pg";
import { TidemarkError } from "../../core/errors.ts";
import { toReplicationError } from "./replication-error.ts";
import type { WireCommand } from "./wire-connection.ts";

/** A server that takes no connection in this time is down or overloaded; libpq has no limit, which hangs a worker. */
const CONNECT_TIMEOUT_MS = 15_000;
/** TCP keepalive finds a peer that vanished without a word, where the stream itself is silent. */
const TCP_KEEPALIVE_DELAY_MS = 30_000;

export interface ReplicationTarget {
  /** Host or socket folder, port, user, password, TLS: as `pg` takes them. */
  readonly client: ClientConfig;
  /** Shown in pg_stat_replication, and compared with synchronous_standby_names. */
  readonly applicationName: string;
  /** Sets wal_sender_timeout for this connection: a dead client's slot is free after it. Undefined leaves the server's. */
  readonly walSenderTimeoutMs?: number;
}

export type CommandRow = Readonly<Record<string, string | null>>;

/**
 * A walsender session. It takes SHOW and replication commands, no other SQL. One command runs at a time; `close()` cuts the socket, since
 * the protocol has no gentler end of a running BASE_BACKUP.
 */
export class ReplicationConnection {
  readonly #client: Client;
  #closed = false;
  #failure: Error | undefined;
  readonly #ended: Promise<void>;
  readonly #stopWatching: () => void;

  /** Use `openReplicationConnection`. */
  constructor(client: Client, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#ended = new Promise((resolve) => client.once("end", () => resolve()));
    // Without a listener a lost connection would end the process. The running command is told on its own.
    client.on("error", (error) => (this.#failure ??= error));
    const abort = (): void => void this.close();
    signal?.addEventListener("abort", abort, { once: true });
    this.#stopWatching = () => signal?.removeEventListener("abort", abort);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Runs a command that answers with rows.
   *
   * @param operation begins the message of a failure
   * @returns the rows of the (last) result; values are text or null
   * @throws as `toReplicationError` says
   */
  async rows(command: string, operation: string): Promise<readonly CommandRow[]> {
    this.#assertUsable(operation);
    try {
      const result = await this.#client.query<CommandRow>({ text: command, types: { getTypeParser: () => keepText } });
      return result.rows;
    } catch (error) {
      throw toReplicationError(error, operation);
    }
  }

  /** Hands the connection to a command of the copy protocol; the command reports its own end. */
  submit(command: WireCommand, operation: string): void {
    this.#assertUsable(operation);
    this.#client.query(command);
  }

  /** Cuts the connection and resolves when the socket is gone. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopWatching();
    // `end()` alone would wait for a server that is busy sending.
    void this.#client.end().catch(() => undefined);
    socketOf(this.#client).destroy();
    await this.#ended;
  }

  #assertUsable(operation: string): void {
    if (!this.#closed && this.#failure === undefined) return;
    throw new TidemarkError("server_unreachable", `${operation}: the connection is closed`, { cause: this.#failure });
  }
}

/**
 * Opens a walsender session on a Unix socket or TCP, with TLS and SCRAM as the target says.
 *
 * @param target whom to connect to, and as what
 * @param signal ends the attempt, and later closes the connection
 * @throws `server_unreachable`, `server_denied`, `replication_failed`; the signal's reason when it aborts
 */
export async function openReplicationConnection(
  target: ReplicationTarget,
  signal?: AbortSignal,
): Promise<ReplicationConnection> {
  signal?.throwIfAborted();
  const client = new Client(clientConfig(target));
  const abort = (): void => void socketOf(client).destroy();
  signal?.addEventListener("abort", abort, { once: true });
  // An error after a failed attempt has nobody to tell.
  const ignore = (): void => undefined;
  client.on("error", ignore);
  try {
    await client.connect();
  } catch (error) {
    socketOf(client).destroy();
    signal?.throwIfAborted();
    throw toReplicationError(error, `Cannot open a replication connection to "${describe(target.client)}"`);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  const connection = new ReplicationConnection(client, signal);
  client.off("error", ignore);
  return connection;
}

function clientConfig(target: ReplicationTarget): ClientConfig & { readonly replication: string } {
  const options = [target.client.options, "-c client_min_messages=warning"];
  if (target.walSenderTimeoutMs !== undefined) options.push(`-c wal_sender_timeout=${target.walSenderTimeoutMs}ms`);
  return {
    ...target.client,
    // A physical walsender: `true`, not `database`. The declarations leave this parameter out, pg passes it on.
    replication: "true",
    application_name: target.applicationName,
    options: options.filter((option) => option !== undefined).join(" "),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: TCP_KEEPALIVE_DELAY_MS,
  };
}

function describe(client: ClientConfig): string {
  return `${client.host ?? "localhost"}:${client.port ?? 5432}`;
}

function keepText(value: string): string {
  return value;
}

function socketOf(client: Client): { destroy(): unknown } {
  // The declarations leave `connection` out; a replaced stream (TLS) is found here at the time of the call.
  return (client as unknown as { connection: { stream: { destroy(): unknown } } }).connection.stream;
}
