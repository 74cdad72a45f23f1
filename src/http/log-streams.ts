import { randomUUID } from "node:crypto";
import { type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { OpenLog } from "../control/database-services.ts";
import { asTidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
import type { HttpFace } from "./context.ts";
import { errorReply } from "./error-reply.ts";
import { acceptWebSocket, isWebSocketRequest } from "./websocket.ts";

const PATH = /^\/downloads\/logs\/([\w-]{1,100})$/;
/** Shows proxies on the way that the connection is in use. */
const PING_INTERVAL_MS = 30_000;
/** Of connections that follow a log at the same time; each looks at a file twice a second. */
const STREAMS_MAX = 100;

/** Whether a request wants to follow a log. Any other wish to change the protocol is passed over, and answered as a request. */
export function isLogStream(request: IncomingMessage): boolean {
  return isWebSocketRequest(request) && PATH.test(addressOf(request)?.pathname ?? "");
}

/** Answers those requests until the signal. */
export function serveLogStreams(server: Server, face: Omit<HttpFace, "maxBodyBytes">, closing: AbortSignal): void {
  let open = 0;
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A client that vanishes is noticed by whoever writes next.
    socket.on("error", () => undefined);
    if (open >= STREAMS_MAX || closing.aborted) {
      socket.destroy();
      return;
    }
    open += 1;
    void answer(face, { request, socket, head }, closing).finally(() => (open -= 1));
  });
}

/** Never rejects. */
async function answer(
  face: Omit<HttpFace, "maxBodyBytes">,
  connection: { request: IncomingMessage; socket: Duplex; head: Buffer },
  closing: AbortSignal,
): Promise<void> {
  const { request, socket, head } = connection;
  const log = face.logger.child({ requestId: randomUUID() });
  try {
    const address = addressOf(request);
    const opened = await face.services.databaseLogs.open({
      addonId: PATH.exec(address?.pathname ?? "")?.[1] ?? "",
      timestamp: address?.searchParams.get("timestamp") ?? "",
      token: address?.searchParams.get("token") ?? "",
    });
    const client = acceptWebSocket(request, socket, head);
    try {
      await send(client, { opened, face, closing });
    } finally {
      client.close();
    }
  } catch (thrown) {
    const error = asTidemarkError(thrown);
    if (error.kind === "bug" && !socket.destroyed) log.error({ err: error }, "Could not stream a log");
    refuse(socket, error);
  }
}

async function send(
  client: ReturnType<typeof acceptWebSocket>,
  { opened, face, closing }: { opened: OpenLog; face: Pick<HttpFace, "clock">; closing: AbortSignal },
): Promise<void> {
  const signal = AbortSignal.any([client.left, closing]);
  const { clock } = face;
  const pings = repeat(
    async () => {
      await clock.sleep(PING_INTERVAL_MS, signal);
      await client.send(JSON.stringify({ event: "ping" }));
    },
    { clock, intervalMs: 0, signal, onFailure: () => client.close() },
  );
  try {
    for await (const line of opened.follow(signal)) {
      const message = { event: "log", log: line, timestamp: clock.now().toISOString() };
      await client.send(JSON.stringify(message));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    client.close();
    await pings;
  }
}

/** Before the handshake a refusal is an answer of HTTP; after it, the connection just ends. */
function refuse(socket: Duplex, error: ReturnType<typeof asTidemarkError>): void {
  if (!socket.writable) return;
  const { status, body } = errorReply(error, randomUUID());
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
}

function addressOf({ url = "" }: IncomingMessage): URL | undefined {
  return URL.parse(url, "http://localhost") ?? undefined;
}
