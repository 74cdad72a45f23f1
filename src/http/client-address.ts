import { isIP } from "node:net";

export interface Connection {
  /** The other end of the socket; undefined once it is closed. */
  readonly remoteAddress: string | undefined;
  /** The X-Forwarded-For header. */
  readonly forwardedFor: string | undefined;
  readonly behindProxy: boolean;
}

/**
 * The client's network address, for limits on failed logins. Behind a proxy it is the last entry of X-Forwarded-For: the one that our own proxy
 * appended, while earlier entries are whatever the client sent.
 */
export function clientAddress({ remoteAddress = "unknown", forwardedFor, behindProxy }: Connection): string {
  if (!behindProxy) return plainAddress(remoteAddress);
  const forwarded = forwardedFor?.split(",").at(-1)?.trim() ?? "";
  return plainAddress(isIP(forwarded) === 0 ? remoteAddress : forwarded);
}

/** IPv4 clients of a socket that listens on both families appear as `::ffff:192.0.2.1`. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
