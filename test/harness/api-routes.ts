import { pick } from "./pick.ts";

/** One route, as the platform itself describes it. */
export interface ApiRoute {
  readonly method: string;
  /** Such as `/v1/apps/{app}`. */
  readonly path: string;
  /** Names of what stands in braces in the path. */
  readonly parameters: readonly string[];
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
