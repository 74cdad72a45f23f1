import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer as createPlainServer, STATUS_CODES } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { assert } from "../core/assert.ts";
import { asTidemarkError, systemErrorCode, TidemarkError } from "../core/errors.ts";
import { acceptAttachments } from "./attach-connection.ts";
import type { HttpFace } from "./context.ts";
import type { DashboardFiles } from "./dashboard-files.ts";
import { errorReply } from "./error-reply.ts";
import { isLogStream, serveLogStreams } from "./log-streams.ts";
import { createRouter } from "./router.ts";
import { discardUnreadBody } from "./unread-body.ts";

export interface HttpServerOptions extends Omit<HttpFace, "behindProxy" | "maxBodyBytes" | "dashboard" | "closing"> {
  /** Address to listen on: `127.0.0.1`, `::1`, `0.0.0.0`. */
  readonly bind: string;
  /** 0 takes any free one; the server tells which. */
  readonly port: number;
  /** Certificate chain and key, PEM. Without them it speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Default none. */
  readonly dashboard?: DashboardFiles;
  /** Default false. */
  readonly behindProxy?: boolean;
  /** Default 1 MiB: every request of the API is far smaller. */
  readonly maxBodyBytes?: number;
  /** How long `close()` waits for answers under way. Default 8 s: the platform as a whole stops within 15 s. */
  readonly drainMs?: number;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no further connections, lets answers under way finish for `drainMs`, then cuts them. May be called twice. */
  close(): Promise<void>;
}

const DEFAULT_MAX_BODY_BYTES = 1024 * 1024;
const DEFAULT_DRAIN_MS = 8_000;
/** A client that needs longer for its headers, or for a body of 1 MiB, holds a connection for nothing. */
const HEADERS_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than a client's pause between two polls, so that it need not connect again for each. */
const KEEP_ALIVE_TIMEOUT_MS = 30_000;
/** Far more than a platform's users need, and few enough for the usual limit of open files. */
const MAX_CONNECTIONS = 800;

/**
 * Starts the HTTP face and resolves once it listens. Errors: `port_in_use` (its port is taken, or not for this user), `config_invalid` (no such
 * address here, or certificate and key that don't fit).
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const streams = new AbortController();
  const face: HttpFace = {
    ...options,
    closing: streams.signal,
    dashboard: options.dashboard ?? new Map(),
    behindProxy: options.behindProxy ?? false,
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
  };
  const server = makeServer(options);
  const listener = getRequestListener(createRouter(face).fetch, {
    errorHandler: (thrown) => refuseUnreadable(thrown, face),
    // It cuts a connection half a second after an answer to a large body; see discardUnreadBody().
    autoCleanupIncoming: false,
  });
  answerRequests(server, listener);
  const endAttachments = acceptAttachments(server, face);
  serveLogStreams(server, face, streams.signal);
  await listen(server, options);
  // Accepting can fail for want of file descriptors: that connection is lost, the server goes on.
  server.on("error", (error) => face.logger.error({ err: error }, "Cannot take a connection"));
  const address = server.address();
  assert(typeof address === "object" && address !== null, "a server that listens on TCP has an address");
  let closing: Promise<void> | undefined;
  const endStreams = () => streams.abort();
  const close = (): Promise<void> => (closing ??= drain(server, { ...options, endAttachments, endStreams }));
  return { port: address.port, close };
}

function makeServer({ tls }: HttpServerOptions): Server {
  const limits = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // A download may pause as long as its reader likes; a reader that vanished is found by TCP's own probes.
    keepAlive: true,
    shouldUpgradeCallback: isLogStream,
  };
  try {
    const server = tls === undefined ? createPlainServer(limits) : createTlsServer({ ...limits, ...tls });
    server.maxConnections = MAX_CONNECTIONS;
    return server;
  } catch (error) {
    throw new TidemarkError("config_invalid", "Cannot use the TLS certificate and key", {
      hint: "TIDEMARK_TLS_CERT and TIDEMARK_TLS_KEY name a certificate and its own key, both PEM",
      cause: error,
    });
  }
}

function answerRequests(
  server: Server,
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
): void {
  const answering = new WeakSet<Duplex>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    answering.add(request.socket);
    response.once("close", () => {
      answering.delete(request.socket);
      discardUnreadBody(request);
      // While the server closes, a connection ends with its answer instead of waiting for another request.
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
    listener(request, response);
  };
  server.on("request", answer);
  // An expectation other than 100-continue is ignored, instead of Node's empty 417.
  server.on("checkExpectation", answer);
  server.on("clientError", (error, socket) => refuseMalformed(error, socket, answering.has(socket)));
}

async function listen(server: Server, { bind, port }: HttpServerOptions): Promise<void> {
  server.listen({ host: bind, port });
  try {
    await once(server, "listening");
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EADDRINUSE" || code === "EACCES")
      throw new TidemarkError("port_in_use", `Cannot listen on port ${port} of ${bind}: ${REASONS[code]}`, {
        hint: "Set TIDEMARK_HTTP_PORT to another port",
        cause: error,
      });
    throw new TidemarkError("config_invalid", `Cannot listen on "${bind}": it is not an address of this machine`, {
      hint: "Set TIDEMARK_BIND to an address that this machine has, such as 127.0.0.1",
      cause: error,
    });
  }
}

const REASONS = { EADDRINUSE: "another program does", EACCES: "this user may not" } as const;

async function drain(
  server: Server,
  {
    clock,
    drainMs,
    endAttachments,
    endStreams,
  }: HttpServerOptions & { readonly endAttachments: () => void; readonly endStreams: () => void },
): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  endStreams();
  const finished = new AbortController();
  const cut = clock.sleep(drainMs ?? DEFAULT_DRAIN_MS, finished.signal).then(
    () => cutConnections(server, endAttachments),
    () => undefined,
  );
  await closed;
  finished.abort();
  await cut;
}

/** Attached clients have left HTTP: the server doesn't cut them as its own any more, and waits for them all the same. */
function cutConnections(server: Server, endAttachments: () => void): void {
  server.closeAllConnections();
  endAttachments();
}

/** What never reached a route: the request line or the Host header makes no address. Anything else here is a mistake of ours. */
function refuseUnreadable(thrown: unknown, { logger }: HttpFace): Response {
  const requestId = randomUUID();
  const error =
    thrown instanceof RequestError
      ? new TidemarkError("bad_request", "The request's address or Host header can't be read", { cause: thrown })
      : asTidemarkError(thrown);
  if (error.kind === "bug") logger.error({ requestId, err: error }, "Request failed");
  const { status, headers, body } = errorReply(error, requestId);
  return Response.json(body, { status, headers });
}

const MALFORMED_STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** What isn't HTTP at all. A connection with an answer under way is cut: anything more would land inside that answer's body. */
function refuseMalformed(error: Error, socket: Duplex, answering: boolean): void {
  if (answering || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = MALFORMED_STATUS[systemErrorCode(error) ?? ""] ?? 400;
  const body = JSON.stringify({ error: "The request is not valid HTTP, or came too slowly", code: "bad_request" });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
