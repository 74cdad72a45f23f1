import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import { isJsonObject } from "./decode.ts";
import type { Decoder } from "./decode.ts";
import { replyError } from "./reply-error.ts";

/** Longest wait for one reply of the API. It answers in milliseconds; archives have a limit of their own. */
const REQUEST_TIMEOUT_MS = 30_000;

/** What one call of the API answered. */
export interface Reply<T> {
  readonly value: T;
  /** The parsed JSON exactly as it came, for `--json`; undefined when there was no body. */
  readonly body: unknown;
}

export interface TransportRequest<T> {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its query; segments escaped, see `route`. */
  readonly path: string;
  readonly authorization?: string;
  /** Of the second factor, with a login by password. */
  readonly oneTimePassword?: string;
  readonly body?: unknown;
  readonly decode: Decoder<T>;
}

/** Sends one request and reads its JSON. */
export type Transport = <T>(request: TransportRequest<T>) => Promise<Reply<T>>;

/**
 * A way to call the platform at `url` (scheme, host and port).
 *
 * Calls throw `platform_unreachable` when nothing answers there in time, `reply_unreadable` when the answer is no JSON of this API, the platform's own
 * error otherwise (see `replyError`), and the signal's reason when it aborts. Nothing is retried.
 */
export function createTransport({
  url,
  userAgent,
  signal,
}: {
  url: string;
  userAgent: string;
  signal: AbortSignal;
}): Transport {
  return async (request) => {
    const headers: Record<string, string> = { accept: "application/json", "user-agent": userAgent };
    if (request.authorization !== undefined) headers["authorization"] = request.authorization;
    if (request.oneTimePassword !== undefined) headers["x-authorization-otp"] = request.oneTimePassword;
    if (request.body !== undefined) headers["content-type"] = "application/json";
    const { status, raw } = await exchange(url, signal, {
      path: request.path,
      init: {
        method: request.method,
        headers,
        redirect: "manual",
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      },
    });
    const body = parseBody(raw, { status, url });
    if (status < 200 || status > 299) throw replyError(status, isJsonObject(body) ? body : {});
    return { value: request.decode(body, ""), body };
  };
}

/**
 * A path with its values escaped: route`/v1/apps/${app}`. `usage` for a value that is no single segment (empty, `.` or `..`), which an
 * address would silently fold away.
 */
export function route(fixed: TemplateStringsArray, ...values: readonly string[]): string {
  return fixed.reduce((path, part, index) => path + escapeSegment(values[index - 1] ?? "") + part);
}

function escapeSegment(value: string): string {
  if (value === "" || value === "." || value === "..") {
    throw new TidemarkError("usage", `"${value}" is not a name or id`);
  }
  return encodeURIComponent(value);
}

async function exchange(
  url: string,
  signal: AbortSignal,
  { path, init }: { path: string; init: RequestInit },
): Promise<{ status: number; raw: string }> {
  const deadline = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  try {
    const response = await fetch(url + path, { ...init, signal: AbortSignal.any([signal, deadline]) });
    return { status: response.status, raw: await response.text() };
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(error, { url, timedOut: deadline.aborted });
  }
}

/** Why a fetch failed, for people. Also used for downloads. */
export function unreachable(error: unknown, { url, timedOut }: { url: string; timedOut: boolean }): TidemarkError {
  const reason = timedOut ? `no answer within ${REQUEST_TIMEOUT_MS / 1000} s` : failureReason(error);
  const local = ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
  return new TidemarkError("platform_unreachable", `Cannot reach the platform at ${url}: ${reason}`, {
    hint: local
      ? "Start it with: npm start"
      : "Check the address (--url, TIDEMARK_URL or the saved login) and the network.",
    cause: error,
  });
}

function failureReason(error: unknown): string {
  // fetch wraps the socket's error; that one has the useful words.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = systemErrorCode(cause);
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND") return "unknown host name";
  const words = cause instanceof Error ? cause.message : String(cause);
  return code === undefined || words.includes(code) ? words : `${words} (${code})`;
}

function parseBody(raw: string, { status, url }: { status: number; url: string }): unknown {
  if (raw === "") return undefined;
  try {
    const body: unknown = JSON.parse(raw);
    return body;
  } catch (error) {
    throw new TidemarkError("reply_unreadable", `Cannot understand the answer of ${url}: status ${status}, not JSON`, {
      hint: "Check that the address is a Tidemark platform's.",
      cause: error,
    });
  }
}
