import { ERROR_TABLE } from "../core/errors.ts";
import type { TidemarkError } from "../core/errors.ts";

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Waiting time that we name when the error doesn't: a client that obeys it comes back soon, yet not in a tight loop. */
const DEFAULT_RETRY_AFTER_S = 5;

/**
 * The one place where an error becomes an answer. The API's clients read different members by status: 401 and 404 `error` alone (a `resource`
 * member would make one of them fail on hosts without a dot; a 401 has a code where it isn't about who asks), 422 `errors` by field, the others `error` and `code`. The hint is part of the
 * text, since those clients show nothing else, and a member of its own. Of a `bug` only the request's id is told.
 */
export function errorReply(error: TidemarkError, requestId: string): ErrorReply {
  const { kind, status, meaning } = ERROR_TABLE[error.code];
  const headers = replyHeaders(error, status);
  if (kind === "bug") return { status, headers, body: { error: meaning, code: error.code, request_id: requestId } };
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  const text = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  if (status === 404 || error.code === "unauthenticated") return { status, headers, body: { error: text, ...hint } };
  if (status === 422) return { status, headers, body: { errors: error.fields ?? { base: [error.message] }, ...hint } };
  const requestIdOfFailure = status >= 500 ? { request_id: requestId } : {};
  return { status, headers, body: { ...error.details, ...requestIdOfFailure, error: text, code: error.code, ...hint } };
}

function replyHeaders(error: TidemarkError, status: number): Record<string, string> {
  // Never a Basic challenge: browsers answer one with a password dialog of their own.
  if (status === 401) return { "WWW-Authenticate": 'Bearer realm="tidemark"' };
  if (status !== 429 && status !== 503) return {};
  const seconds = error.details?.["retry_after_seconds"];
  return {
    "Retry-After": String(typeof seconds === "number" ? Math.max(1, Math.ceil(seconds)) : DEFAULT_RETRY_AFTER_S),
  };
}
