import { pick } from "./pick.ts";

/** One route, as the platform itself describes it. */
export interface ApiRoute {
  readonly method: string;
  /** Such as `/v1/apps/{app}`. */
  readonly path: string;
  /** Names of what stands in braces in the path. */
  readonly parameters: readonly string[];
  /** Names of what its query may have. */
  readonly query: readonly string[];
  /** Names of the security schemes that open it; empty when it is open to all. */
  readonly schemes: readonly string[];
  /** JSON schema of its body, undefined when it takes none. */
  readonly bodySchema: unknown;
}

/** All routes of the platform at `url`, from its OpenAPI document: one that is added later is tested with the others. */
export async function readRoutes(url: string): Promise<ApiRoute[]> {
  const document: unknown = await (await fetch(`${url}/openapi.json`)).json();
  const routes: ApiRoute[] = [];
  for (const [path, methods] of Object.entries(pick(document, "paths") ?? {})) {
    for (const [method, description] of Object.entries(methods ?? {})) {
      const security = pick(description, "security");
      routes.push({
        method: method.toUpperCase(),
        path,
        parameters: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name),
        query: [pick(description, "parameters")]
          .flat()
          .filter((each) => pick(each, "in") === "query")
          .map((each) => String(pick(each, "name"))),
        schemes: Array.isArray(security) ? security.flatMap((each: object) => Object.keys(each)) : [],
        bodySchema: pick(description, "requestBody", "content", "application/json", "schema"),
      });
    }
  }
  return routes;
}

/** The path with its parameters in place; every one must be given. */
export function fillPath(path: string, parameters: Readonly<Record<string, string>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = parameters[name];
    if (value === undefined) throw new Error(`${path}: no value for ${name}`);
    return encodeURIComponent(value);
  });
}

/** The text of an answer; of one that goes on for as long as it is read, what comes first. */
export async function readAnswer(response: Response): Promise<string> {
  if (response.headers.get("content-type") !== "text/event-stream") return await response.text();
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel();
  return new TextDecoder().decode(first?.value);
}

/** One field of a body. */
export interface BodyField {
  /** Such as `["app", "name"]`. */
  readonly path: readonly string[];
  /** JSON types that it may have: `string`, `null`. */
  readonly types: readonly string[];
  readonly isRequired: boolean;
}

/** The fields of a body that this JSON schema describes, those inside of others too. */
export function fieldsOf(schema: unknown, above: readonly string[] = [], isRequired = true): BodyField[] {
  const properties = pick(schema, "properties");
  if (typeof properties !== "object" || properties === null)
    return [{ path: above, types: typesOf(schema), isRequired }];
  const required = pick(schema, "required");
  return Object.entries(properties).flatMap(([name, inner]) =>
    fieldsOf(inner, [...above, name], isRequired && Array.isArray(required) && required.includes(name)),
  );
}

/** A body whose fields are all of the right type, but the one at `path`, which is `value`. */
export function bodyOf(schema: unknown, path: readonly string[] = [], value?: unknown): unknown {
  const properties = pick(schema, "properties");
  if (typeof properties !== "object" || properties === null) return plainValue(schema);
  const members = Object.entries(properties).map(([name, inner]): [string, unknown] => {
    if (path[0] !== name) return [name, bodyOf(inner)];
    return [name, path.length === 1 ? value : bodyOf(inner, path.slice(1), value)];
  });
  return Object.fromEntries(members);
}

function plainValue(schema: unknown): unknown {
  const [type] = typesOf(schema);
  if (type === "array") return [bodyOf(pick(schema, "items"))];
  if (type === "object") return {};
  if (type === "boolean") return true;
  if (type === "object") return {};
  if (type === "integer" || type === "number") return 1;
  return pick(schema, "enum", 0) ?? "ordinary";
}

function typesOf(schema: unknown): string[] {
  return [pick(schema, "type")].flat().filter((type) => typeof type === "string");
}
