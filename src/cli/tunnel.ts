import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { promisify } from "node:util";
import type { Client } from "ssh2";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError, systemErrorCode, TidemarkError } from "../core/errors.ts";
import { openSshSession, type SshLogin } from "./ssh-session.ts";

/** Ports that are tried, from the wanted one on. */
const PORTS_MAX = 100;
const PORT_LAST = 65_535;
/** Before each attempt to connect again: a platform that was started again is back by the last one. */
const RECONNECT_WAITS_MS = [0, 1000, 3000];
/** Local connections at a time: as many as the gateway takes on one SSH connection. */
const CONNECTIONS_MAX = 64;

export interface TunnelOptions extends SshLogin {
  /** Host and port as the database's URI has them: the gateway knows the database by them. */
  readonly destination: { readonly host: string; readonly port: number };
  readonly bind: string;
  /** The wanted port; the next free one is taken. */
  readonly port: number;
  readonly clock: Clock;
  readonly onConnect: (number: number) => void;
  readonly onEnd: (number: number) => void;
  /** A local connection could not be carried; the tunnel goes on. */
  readonly onFailure: (error: TidemarkError) => void;
}

export interface Tunnel {
  readonly port: number;
  /** Ends it with all connections. May be called twice. */
  close(): Promise<void>;
}

/**
 * Opens a tunnel: logs in to the gateway, then listens and carries each local connection to the database, on one SSH connection that is made again
 * when it breaks. Errors as those of `openSshSession`, and `port_in_use` when no port is free.
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const session = new Session(options);
  await session.client();
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    const number = (count += 1);
    socket.once("close", () => {
      sockets.delete(socket);
      options.onEnd(number);
    });
    options.onConnect(number);
    carry(socket, session, options).catch((thrown: unknown) => {
      socket.destroy();
      if (!options.signal.aborted) options.onFailure(asTidemarkError(thrown));
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  try {
    return {
      port: await listen(server, options),
      async close() {
        if (server.listening) server.close();
        for (const socket of sockets) socket.destroy();
        await session.close();
      },
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** The one SSH connection, made anew when it is needed and gone. */
class Session {
  readonly #options: TunnelOptions;
  #client: Promise<Client> | undefined;

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  async client(): Promise<Client> {
    this.#client ??= this.#connect();
    return await this.#client;
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    client?.end();
  }

  async #connect(): Promise<Client> {
    try {
      const client = await openSshSession(this.#options);
      client.once("close", () => (this.#client = undefined));
      return client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }
}

async function carry(socket: Socket, session: Session, options: TunnelOptions): Promise<void> {
  const channel = await openChannel(session, options);
  channel.on("error", () => socket.destroy());
  channel.once("close", () => socket.destroySoon());
  socket.once("close", () => channel.end());
  socket.pipe(channel).pipe(socket);
  if (socket.destroyed) channel.end();
}

async function openChannel(session: Session, { destination, clock, signal, gateway }: TunnelOptions) {
  let failure: unknown;
  for (const waitMs of RECONNECT_WAITS_MS) {
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    try {
      const client = await session.client();
      return await promisify(client.forwardOut.bind(client))("127.0.0.1", 0, destination.host, destination.port);
    } catch (error) {
      signal.throwIfAborted();
      if (wasRefused(error)) throw refusal(destination, error);
      failure = error;
    }
  }
  throw failure instanceof TidemarkError ? failure : lost(gateway, failure);
}

/** The gateway's own answer, by its number of a reason (RFC 4254, 5.1); anything else is a connection that broke. */
function wasRefused(error: unknown): boolean {
  return error instanceof Error && "reason" in error && error.reason !== "";
}

function refusal({ host, port }: TunnelOptions["destination"], cause: unknown): TidemarkError {
  return new TidemarkError("not_found", `The SSH gateway opens no way to ${host}:${port}`, {
    hint: "Either the database doesn't run, or it is not yours: compare with the URI of tidemark env-get.",
    cause,
  });
}

function lost({ host, port }: TunnelOptions["gateway"], cause: unknown): TidemarkError {
  return new TidemarkError("platform_unreachable", `The connection to the SSH gateway at ${host}:${port} broke`, {
    cause,
  });
}

async function listen(server: Server, { bind, port: wanted }: TunnelOptions): Promise<number> {
  const last = Math.min(wanted + PORTS_MAX - 1, PORT_LAST);
  for (let port = wanted; port <= last; port++) {
    server.listen({ host: bind, port, exclusive: true });
    try {
      await once(server, "listening");
      return port;
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === "EADDRINUSE") continue;
      throw new TidemarkError("port_in_use", `Cannot listen on port ${port} of "${bind}": ${code ?? "it failed"}`, {
        hint: "Choose another with --port, or another address of this machine with --bind.",
        cause: error,
      });
    }
  }
  throw new TidemarkError("port_in_use", `Every port from ${wanted} to ${last} of "${bind}" is in use`, {
    hint: "Choose another with --port.",
  });
}
