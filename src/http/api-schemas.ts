import { z } from "@hono/zod-openapi";

export const timestamp = z.iso.datetime().openapi({ description: "RFC 3339, UTC, milliseconds" });
export const optionalTimestamp = timestamp.nullable();

const hint = z.string().optional().openapi({ description: "What to do next" });
const error = z.string().openapi({ description: "What went wrong, for people; the hint is part of it" });

const PlainError = z.object({ error, hint }).openapi("PlainError");
const CodedError = z
  .object({
    error,
    code: z.string().openapi({ description: "A row of the error reference" }),
    hint,
    request_id: z.string().optional(),
  })
  .catchall(z.unknown())
  .openapi("CodedError");
const InvalidFields = z
  .object({ errors: z.record(z.string(), z.array(z.string())), hint })
  .openapi("InvalidFields", { description: "Messages by field" });

const REFUSALS = {
  400: { description: "The request can't be read", schema: CodedError },
  401: { description: "No valid credentials", schema: PlainError },
  403: { description: "Known, but not allowed to", schema: CodedError },
  404: { description: "No such thing, or it is not yours", schema: PlainError },
  409: { description: "Its state doesn't allow this now", schema: CodedError },
  412: { description: "Not the file that If-Match names", schema: CodedError },
  413: { description: "The body is too large", schema: CodedError },
  415: { description: "The body is not declared as JSON", schema: CodedError },
  416: { description: "The range names no byte of the file", schema: CodedError },
  422: { description: "Fields with values that are not allowed", schema: InvalidFields },
  429: { description: "Too many attempts; see Retry-After", schema: CodedError },
  500: { description: "A failure of the platform; its request id finds it in the log", schema: CodedError },
  503: { description: "A part of the platform can't be reached for now", schema: CodedError },
} as const;

type RefusalStatus = keyof typeof REFUSALS;
/** Statuses that any route can answer. */
type CommonStatus = 500 | 503;
/** What a route with a JSON body can answer on top. */
const BODY_STATUSES = [400, 413, 415, 422] as const;

type Refusals = Record<string, { description: string; content: { "application/json": { schema: z.ZodType } } }>;

/** A JSON answer of a route. */
export function answer<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

/** The refusals of a route beside those that every route has; spread into its responses. */
export function refusals(...statuses: readonly Exclude<RefusalStatus, CommonStatus>[]): Refusals {
  const described: Refusals = {};
  for (const status of [...statuses, 500, 503] as const) {
    const { description, schema } = REFUSALS[status];
    described[status] = answer(description, schema);
  }
  return described;
}

/** As `refusals`, for a route that takes a JSON body. */
export function bodyRefusals(...statuses: readonly Exclude<RefusalStatus, CommonStatus>[]): Refusals {
  return refusals(...BODY_STATUSES, ...statuses);
}
