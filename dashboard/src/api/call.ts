import { OPERATIONS, type Operations } from "../../generated/api.ts";
import { ApiError, readError } from "./api-error.ts";

export type OperationId = keyof Operations;
export type Reply<Id extends OperationId> = Operations[Id]["reply"];

/** An operation's input: members that it doesn't take, or that are all optional, may be left out. */
export type Input<Id extends OperationId> = Member<"path", Operations[Id]["path"]> &
  Member<"query", Operations[Id]["query"]> &
  (Operations[Id]["body"] extends undefined ? { body?: undefined } : { body: Operations[Id]["body"] });

type Member<Name extends string, Value> =
  Partial<Value> extends Value ? { readonly [N in Name]?: Value } : { readonly [N in Name]: Value };

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** The session's proof that a page of this platform sends the request; needed by all that change something. */
  readonly csrfToken?: string;
}

/** One request to the platform that served this page. Errors: `ApiError`, also when nobody answers. */
export async function call<Id extends OperationId>(
  id: Id,
  input: Input<Id>,
  { signal, csrfToken }: CallOptions = {},
): Promise<Reply<Id>> {
  const { method, path } = OPERATIONS[id];
  // Each operation's members are known to its callers; here they are all names and values.
  const { path: names, query, body } = input as { path?: Values; query?: Values; body?: unknown };
  const response = await send(`${fillPath(path, names ?? {})}${queryText(query ?? {})}`, {
    method,
    credentials: "same-origin",
    headers: {
      Accept: "application/json",
      ...(csrfToken === undefined ? {} : { "X-CSRF-Token": csrfToken }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok) throw await readError(response);
  if (response.status === 204) return null;
  // The API's document, which the types are made of, is compared with the platform's routes by a test.
  return (await response.json()) as Reply<Id>;
}

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

function fillPath(path: string, values: Values): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name] ?? "")));
}

function queryText(values: Values): string {
  const given = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
}

async function send(address: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, init);
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw new ApiError({
      status: 0,
      code: "unreachable",
      message: "The platform doesn't answer",
      hint: "Check that it runs (tidemark status) and that this machine reaches it; this page tries again by itself.",
    });
  }
}
