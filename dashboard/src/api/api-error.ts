/** A refusal of the API, or the lack of an answer (`status` 0). The only kind of error that pages show. */
export class ApiError extends Error {
  readonly status: number;
  /** A row of the error reference; empty where the API tells none. */
  readonly code: string;
  /** What to do next. */
  readonly hint: string | null;
  /** Messages by field. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  readonly requestId: string | null;

  constructor(facts: {
    status: number;
    message: string;
    code?: string;
    hint?: string | null;
    fields?: Readonly<Record<string, readonly string[]>>;
    requestId?: string | null;
  }) {
    super(facts.message);
    this.status = facts.status;
    this.code = facts.code ?? "";
    this.hint = facts.hint ?? null;
    this.fields = facts.fields ?? {};
    this.requestId = facts.requestId ?? null;
  }
}

/** What the refused `response` says. */
export async function readError(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const facts = isRecord(body) ? body : {};
  const hint = text(facts["hint"]);
  const fields = fieldMessages(facts["errors"]);
  const message = text(facts["error"]) ?? (Object.keys(fields).length > 0 ? fieldSentence(fields) : null);
  return new ApiError({
    status: response.status,
    code: text(facts["code"]) ?? "",
    // The API's text has the hint at its end, for clients that show nothing else.
    message: withoutHint(message ?? `The platform answered with status ${response.status}`, hint),
    hint,
    fields,
    requestId: text(facts["request_id"]),
  });
}

/** Any thrown value as what a page can show. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiError({ status: -1, message, hint: "This is a fault of the dashboard itself. Reload the page." });
}

function fieldMessages(value: unknown): Record<string, string[]> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([field, messages]) => [field, Array.isArray(messages) ? messages.map(String) : []]),
  );
}

function fieldSentence(fields: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(fields)
    .map(([field, messages]) => (field === "base" ? messages.join(", ") : `${field} ${messages.join(", ")}`))
    .join("; ");
}

function withoutHint(message: string, hint: string | null): string {
  return hint !== null && message.endsWith(hint) ? message.slice(0, -hint.length).replace(/[.\s]+$/, "") : message;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
