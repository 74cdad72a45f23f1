import { lookup as resolveName, type LookupAddress, type LookupOptions } from "node:dns";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { TidemarkError } from "../core/errors.ts";

/** From the first packet to the status line. */
export const POST_TIMEOUT_MS = 10_000;

export interface Post {
  /** http or https. A secret: errors name its host only. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Posts JSON once. Resolves with the status when it is 2xx; the answer's body is not read and no redirect is followed.
 *
 * @throws `notification_failed` when trying again can help (nothing answers in time, 408, 425, 429, 5xx), `notification_refused` otherwise.
 */
export async function post(
  message: Post,
  options: { readonly allowsPrivateTargets: boolean; readonly signal: AbortSignal },
): Promise<number> {
  const url = new URL(message.url);
  if (!options.allowsPrivateTargets) refusePrivateLiteral(url);
  const timeout = AbortSignal.timeout(POST_TIMEOUT_MS);
  const signal = AbortSignal.any([options.signal, timeout]);
  let status: number;
  try {
    status = await exchange(url, message, { signal, lookup: options.allowsPrivateTargets ? undefined : lookupPublic });
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof TidemarkError) throw error;
    const why = timeout.aborted ? `no answer within ${POST_TIMEOUT_MS / 1000} s` : reasonOf(error);
    throw new TidemarkError("notification_failed", `Cannot reach "${url.host}": ${why}`, { cause: error });
  }
  if (status >= 200 && status < 300) return status;
  throw refusal(url, status);
}

function exchange(
  url: URL,
  message: Post,
  { signal, lookup }: { signal: AbortSignal; lookup: LookupFunction | undefined },
): Promise<number> {
  const request = url.protocol === "https:" ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: "POST",
      headers: { ...message.headers, "content-length": Buffer.byteLength(message.body) },
      agent: false, // a connection of its own: nothing is shared between the addresses of different users
      signal,
      ...(lookup === undefined ? {} : { lookup }),
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.on("error", () => undefined); // the rest of the answer is of no interest
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    sent.end(message.body);
  });
}

/** Statuses of the 4xx that say "later" rather than "no". */
const LATER = new Set([408, 425, 429]);

function refusal(url: URL, status: number): TidemarkError {
  if (status >= 500 || LATER.has(status))
    return new TidemarkError("notification_failed", `"${url.host}" answered ${status}`);
  const hint =
    status >= 300 && status < 400
      ? "Give the address that it redirects to: redirects are not followed."
      : "Look at the notifier's address: it may have been revoked.";
  return new TidemarkError("notification_refused", `"${url.host}" answered ${status}`, { hint });
}

function reasonOf(error: unknown): string {
  // Of several addresses that were tried, each has an error of its own.
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

/** Addresses inside a machine or a private network, and those that are no single machine's. RFC 6890 lists them. */
const NOT_PUBLIC_V4 = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  NOT_PUBLIC_V4.addSubnet(network, prefix, "ipv4");
/** A list of its own: in one with the other, the range of mapped addresses would take in every address of version 4. */
const NOT_PUBLIC_V6 = new BlockList();
for (const [network, prefix] of [
  ["::", 127],
  ["::ffff:0:0", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  NOT_PUBLIC_V6.addSubnet(network, prefix, "ipv6");

/** Whether it is the address of one machine on the public internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !NOT_PUBLIC_V4.check(address, "ipv4");
  return family === 6 && !NOT_PUBLIC_V6.check(address, "ipv6");
}

function refusePrivateLiteral(url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw privateTarget(host);
}

/** Decided as the connection is made, by the address that is then used: a name that answers differently the second time gains nothing. */
function lookupPublic(
  host: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
): void {
  resolveName(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    const allowed = addresses.filter(({ address }) => isPublicAddress(address));
    const [first] = allowed;
    if (first === undefined) return callback(privateTarget(host), []);
    return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family);
  });
}

function privateTarget(host: string): TidemarkError {
  return new TidemarkError("notification_refused", `"${host}" is an address inside this machine or a private network`, {
    hint: "The operator can allow such addresses with TIDEMARK_NOTIFY_PRIVATE=1.",
  });
}
