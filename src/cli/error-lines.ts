import type { TidemarkError } from "../core/errors.ts";

/** How an answer's status opens the line, as users of the original client know it. Others show the text alone. */
const OPENING_BY_STATUS: Readonly<Record<number, string>> = {
  400: "400 Bad Request → ",
  403: "Request forbidden (403): ",
  409: "409 Conflict → ",
  413: "413 Payload Too Large → ",
  429: "429 Too Many Requests → ",
  500: "Internal error of the platform → ",
};

/**
 * What people see of an error: the message, then the hint. The platform's refusal of fields becomes one line a field, in order of their names.
 */
export function errorLines(error: TidemarkError): { readonly message: string[]; readonly hint: string | undefined } {
  return { message: messageLines(error), hint: error.hint };
}

function messageLines(error: TidemarkError): string[] {
  const status = error.details?.["http_status"];
  if (typeof status !== "number") return error.message.split("\n");
  if (status === 422 && error.fields !== undefined) {
    const fields = Object.entries(error.fields).sort(([a], [b]) => (a < b ? -1 : 1));
    return ["422 Unprocessable Content", ...fields.map(([field, messages]) => `* ${field} → ${messages.join(", ")}`)];
  }
  return `${OPENING_BY_STATUS[status] ?? ""}${error.message}`.split("\n");
}
