import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { TunnelService } from "../control/tunnel-service.ts";
import type { Clock } from "../core/clock.ts";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { repeat } from "../core/repeat.ts";
import { Admission } from "./admission.ts";
import { GatewayConnection } from "./connection.ts";

/** How soon a removed key, user or right ends what it had opened. */
const REVIEW_INTERVAL_MS = 3_000;
/** For the last bytes and the farewell of each connection. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface GatewayOptions {
  readonly tunnels: TunnelService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The host key, in OpenSSH's format. */
  readonly hostKey: string;
  /** Address to listen on: `127.0.0.1`, `0.0.0.0`. */
  readonly bind: string;
  /** 0 takes any free one; the gateway tells which. */
  readonly port: number;
  readonly version: string;
}

export interface Gateway {
  readonly port: number;
  /** Takes no further connections and ends those that are open. May be called twice. */
  close(): Promise<void>;
}

/**
 * Starts the SSH gateway and resolves once it listens. It carries connections to the databases that a key's user may reach, and nothing else. Errors:
 * `port_in_use` (its port is taken, or not for this user), `config_invalid` (no such address here).
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { clock, logger } = options;
  const admission = new Admission(() => clock.now().getTime());
  const connections = new Set<GatewayConnection>();
  const server = createServer((socket) => {
    const connection = admit(socket, admission, options);
    if (connection === undefined) return;
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  });
  const port = await listen(server, options);
  // Accepting can fail for want of file descriptors: that connection is lost, the gateway goes on.
  server.on("error", (error) => logger.error({ error: error.message }, "Cannot take an SSH connection"));
  const stop = new AbortController();
  const reviews = repeat(() => reviewAll(connections), {
    clock,
    intervalMs: REVIEW_INTERVAL_MS,
    signal: stop.signal,
    // What is open stays open while the control database is away: nobody's rights have changed meanwhile.
    onFailure: (thrown) => logger.warn({ error: String(thrown) }, "SSH connections can't be reviewed now"),
  });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stop.abort();
    await closeServer(server, connections, clock);
    await reviews;
  };
  return { port, close: () => (closing ??= close()) };
}

function admit(
  socket: Socket,
  admission: Admission,
  { tunnels, clock, logger, hostKey, version }: GatewayOptions,
): GatewayConnection | undefined {
  const address = plainAddress(socket.remoteAddress ?? "unknown");
  const place = admission.enter(address);
  if (place === undefined) {
    logger.info({ address }, "an SSH connection was refused: there are too many");
    socket.destroy();
    return undefined;
  }
  return new GatewayConnection({ socket, address, place, hostKey, tunnels, clock, logger, version });
}

/** IPv4 clients of a socket that listens on both families appear as `::ffff:192.0.2.1`. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}

async function reviewAll(connections: ReadonlySet<GatewayConnection>): Promise<void> {
  for (const connection of connections) await connection.review();
}

async function listen(server: Server, { bind, port }: GatewayOptions): Promise<number> {
  server.listen({ host: bind, port });
  try {
    await once(server, "listening");
  } catch (error) {
    const code = systemErrorCode(error);
    const isTaken = code === "EADDRINUSE" || code === "EACCES";
    throw new TidemarkError(
      isTaken ? "port_in_use" : "config_invalid",
      `Cannot listen for SSH on port ${port} of "${bind}": ${code ?? "it failed"}`,
      {
        hint: "Set TIDEMARK_SSH_PORT to another port, and TIDEMARK_SSH_BIND to an address of this machine.",
        cause: error,
      },
    );
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

async function closeServer(server: Server, connections: Set<GatewayConnection>, clock: Clock): Promise<void> {
  const closed = once(server, "close");
  server.close();
  for (const connection of connections) connection.close("the platform is stopping");
  const finished = new AbortController();
  const cut = clock
    .sleep(CLOSE_TIMEOUT_MS, finished.signal)
    .then(() => connections.forEach((connection) => connection.destroy()))
    // Its only rejection: all have ended by themselves.
    .catch(() => undefined);
  await closed;
  finished.abort();
  await cut;
}
