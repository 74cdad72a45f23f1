import { STATUS_CODES } from "node:http";
import { ERROR_TABLE, TidemarkError } from "../core/errors.ts";
import type { ErrorCode, ErrorOptions } from "../core/errors.ts";
import { isJsonObject } from "./decode.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Codes for replies that carry none, by status. */
const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  401: "unauthenticated",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  413: "payload_too_large",
  422: "invalid_fields",
  429: "too_many_requests",
  503: "control_unavailable",
};

/** Keys of an error body that have a place of their own in the error. */
const NOT_DETAILS = new Set(["error", "code", "hint", "errors", "resource"]);

/**
 * The error that an answer of the API stands for. `details.http_status` has the status, and `details` any further fields of the body, such as
 * `backup_id`.
 */
export function replyError(status: number, body: JsonObject): TidemarkError {
  const hint = typeof body["hint"] === "string" && body["hint"] !== "" ? body["hint"] : undefined;
  const said = typeof body["error"] === "string" && body["error"] !== "" ? body["error"] : undefined;
  const fields = readFields(body["errors"]);
  const options: ErrorOptions = {
    details: { ...readDetails(body), http_status: status },
    ...(hint === undefined ? {} : { hint }),
    ...(fields === undefined ? {} : { fields }),
  };
  return new TidemarkError(readCode(status, body["code"]), withoutHint(said, hint) ?? defaultMessage(status), options);
}

function readCode(status: number, code: unknown): ErrorCode {
  if (typeof code === "string" && Object.hasOwn(ERROR_TABLE, code)) return code as ErrorCode; // a key of the table
  return CODE_BY_STATUS[status] ?? "reply_unreadable";
}

function defaultMessage(status: number): string {
  if (status === 422) return "The platform refused the values";
  return `The platform answered ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd();
}

/** The platform repeats the hint in the text for clients that don't know the field; we print it on a line of its own. */
function withoutHint(said: string | undefined, hint: string | undefined): string | undefined {
  if (said === undefined || hint === undefined || !said.endsWith(hint)) return said;
  return said.slice(0, -hint.length).replace(/[\s.]+$/, "") || said;
}

function readFields(errors: unknown): Record<string, string[]> | undefined {
  if (!isJsonObject(errors)) return undefined;
  const entries = Object.entries(errors).map(([field, messages]): [string, string[]] => [
    field,
    (Array.isArray(messages) ? messages : [messages]).map(String),
  ]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function readDetails(body: JsonObject): Record<string, string | number | boolean> {
  const details: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(body)) {
    if (NOT_DETAILS.has(name)) continue;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") details[name] = value;
  }
  return details;
}
