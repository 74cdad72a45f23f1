import type { IncomingMessage } from "node:http";

/** Of a body that was refused unread, so much is still taken: its sender reads the answer, and the connection stays in use. */
const DISCARD_BYTES_MAX = 16 * 1024 * 1024;
/** A sender that needs longer is cut; 16 MiB take it at 13 Mbit/s. */
const DISCARD_TIMEOUT_MS = 10_000;

/**
 * Takes and throws away what is left of a request's body after its answer has been sent. Left unread it would stand before the connection's next
 * request; a connection that is cut instead takes the answer with it, or a request that the client has sent on it meanwhile. May be called for a
 * request without a body, or with one that was read to its end: nothing happens then.
 */
export function discardUnreadBody(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return;
  // Whoever began to read it has been answered; what they attached would hold the stream back.
  request.removeAllListeners("data");
  request.removeAllListeners("readable");
  const cut = (): void => {
    request.socket.destroySoon();
  };
  const timer = setTimeout(cut, DISCARD_TIMEOUT_MS);
  let discardedBytes = 0;
  request.on("data", (chunk: Buffer) => {
    discardedBytes += chunk.length;
    if (discardedBytes > DISCARD_BYTES_MAX) cut();
  });
  request.once("close", () => clearTimeout(timer));
  request.resume();
}
