import type { Hook } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";
import type { $ZodIssue } from "zod/v4/core";
import { TidemarkError } from "../core/errors.ts";
import type { FaceEnv } from "./context.ts";

/** Names and ids in a path: what can't be one names nothing, so it is answered as unknown, and never reaches SQL. */
export const pathName = z.string().regex(/^[\w-]{1,100}$/);

/**
 * Text in a body or query: at most `maxChars`, whole Unicode, no control characters (PostgreSQL stores no NUL, terminals obey escapes). What it may
 * say beyond that is for the service to judge.
 */
export function plainText(maxChars: number) {
  return z
    .string({ error: (issue) => (issue.input === undefined ? "is required" : "must be text") })
    .max(maxChars, { error: `must have at most ${maxChars} characters` })
    .refine((text) => text.isWellFormed(), { error: "must be valid Unicode" })
    .refine((text) => !/\p{Cc}/u.test(text), { error: "must have no control characters" });
}

/** An object in a body, with the fields of `shape`; others are ignored, since clients send empty ones that mean nothing here. */
export function fields<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.object(shape, {
    error: (issue) => (issue.input === undefined ? "is required" : "must be an object"),
  });
}

/** A required JSON body. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } };
}

/** Throws what a failed validation means: an unknown path, an unreadable body, or fields with values that are not allowed. */
export const refuseInvalid: Hook<unknown, FaceEnv, string, unknown> = (result) => {
  if (result.success) return;
  if (result.target === "param")
    throw new TidemarkError("not_found", "There is nothing at this address", { cause: result.error });
  const { issues } = result.error;
  if (issues.some((issue) => issue.path.length === 0))
    throw new TidemarkError("bad_request", "The request's body must be a JSON object", { cause: result.error });
  throw new TidemarkError("invalid_fields", "Some fields have values that are not allowed", {
    fields: messagesByField(issues),
    cause: result.error,
  });
};

/** Bodies wrap their fields in the noun (`{"app": {"name": …}}`): the field's own name is what is answered. */
function messagesByField(issues: readonly $ZodIssue[]): Record<string, string[]> {
  const messages: Record<string, string[]> = {};
  for (const { path, message } of issues) {
    const field = path.length > 1 ? path.slice(1).join(".") : String(path[0]);
    (messages[field] ??= []).push(message);
  }
  return messages;
}
