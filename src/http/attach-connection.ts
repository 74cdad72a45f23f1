import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { OneOffAttachment } from "../control/one-off-service.ts";
import type { Principal } from "../control/model.ts";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { HttpFace } from "./context.ts";
import { parseAuthorization } from "./credentials.ts";
import { errorReply } from "./error-reply.ts";
import { pathName } from "./validation.ts";

/**
 * Clients read the head of our answer from a buffer that they then throw away: what comes with it is lost. The command begins so much later that they
 * have read on.
 */
const BEGIN_DELAY_MS = 300;
/**
 * Input is held until the command has printed something, or for so long. A shell prompts when it has its terminal as it wants it; the byte that ends
 * the input, come before, would not reach it.
 */
const INPUT_HOLD_MS = 1000;
/** After our last byte, what the client still sends is taken and thrown away: closing over unread bytes would cut the output that is on its way. */
const DRAIN_MS = 10_000;

const ADDRESS = /^\/attach\/([^/?#]+)$/;

/**
 * Lets `server` take CONNECT requests: a client takes the terminal of a one-off container, and from then on the connection carries its bytes both ways.
 * The returned function ends those that are open.
 */
export function acceptAttachments(server: Server, face: HttpFace): () => void {
  const open = new Set<Duplex>();
  server.on("connect", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    // A connection that breaks is one whose client left, which `serveTerminal` sees; before that, there is nobody to tell.
    socket.on("error", () => undefined);
    if (head.length > 0) socket.unshift(head);
    void attach(request, socket, face);
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}

async function attach(request: IncomingMessage, socket: Duplex, face: HttpFace): Promise<void> {
  const { clock, services } = face;
  // From now on: one that leaves before the command begins has left as well.
  const clientLeft = firstOf(socket, ["end", "close"]);
  let attachment: OneOffAttachment;
  try {
    const reference = pathName.safeParse(ADDRESS.exec(request.url ?? "")?.[1]).data;
    if (reference === undefined) throw new TidemarkError("not_found", "There is nothing at this address");
    attachment = await services.oneOffs.attach(await authenticate(request, face), reference);
  } catch (thrown) {
    refuse(socket, thrown, face);
    return;
  }
  socket.write("HTTP/1.1 200 OK\r\n\r\n");
  await clock.sleep(BEGIN_DELAY_MS);
  await serveTerminal(socket, attachment, { clock, clientLeft });
  attachment.leave();
  if (socket.destroyed) return;
  socket.end();
  socket.resume();
  await Promise.race([firstOf(socket, ["close"]), clock.sleep(DRAIN_MS)]);
  socket.destroy();
}

/** Until the output has ended or the client has left. */
async function serveTerminal(
  socket: Duplex,
  attachment: OneOffAttachment,
  { clock, clientLeft }: { readonly clock: Clock; readonly clientLeft: Promise<void> },
): Promise<void> {
  const { input, output } = attachment;
  const heard = new AbortController();
  output.on("data", () => {
    attachment.noteActivity();
    heard.abort();
  });
  const outputEnded = firstOf(output, ["end", "close"]);
  // The stream itself stops the command while the client doesn't read.
  output.pipe(socket, { end: false });
  attachment.begin();
  await Promise.race([clock.sleep(INPUT_HOLD_MS, heard.signal).catch(() => undefined), outputEnded, clientLeft]);
  socket.on("data", () => attachment.noteActivity());
  socket.pipe(input, { end: false });
  // A client never ends its side alone: when that side ends, the client is gone.
  await Promise.race([outputEnded, clientLeft]);
  socket.unpipe(input);
}

async function firstOf(stream: Duplex | Readable, events: readonly string[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of events) stream.once(event, () => resolve());
  await promise;
}

async function authenticate(request: IncomingMessage, { services }: HttpFace): Promise<Principal> {
  const credentials = parseAuthorization(request.headers.authorization);
  if (credentials?.kind === "apiToken") return await services.identity.authenticateJwt(credentials.secret);
  if (credentials?.kind === "bearer") return await services.identity.authenticateJwt(credentials.token);
  throw new TidemarkError("unauthenticated", "This address needs a user's token");
}

function refuse(socket: Duplex, thrown: unknown, { logger }: HttpFace): void {
  const requestId = randomUUID();
  const error = asTidemarkError(thrown);
  if (error.kind === "bug") logger.error({ requestId, err: error }, "Request failed");
  const { status, headers, body } = errorReply(error, requestId);
  const text = JSON.stringify(body);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Connection: close",
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${text}`);
  socket.resume();
}
