import { createHash } from "node:crypto";
import { connectionUri } from "../postgres/connection.ts";
import type { Variable } from "./model.ts";

const FIRST_VARIABLE = "SCALINGO_POSTGRESQL_URL";
const ALIAS = "DATABASE_URL";

/** A database as its app's variables need it. Holds the password. */
export interface VariableSource {
  /** The addon's name in its app: `postgresql`, `postgresql-2`. */
  readonly addonName: string;
  readonly resourceId: string;
  readonly host: string;
  readonly port: number;
  readonly password: string;
}

/** Names of the variables that an addon gives its app; `index` is its place in order of creation. */
export function variableNames(addonName: string, index: number): string[] {
  if (index === 0) return [FIRST_VARIABLE, ALIAS];
  const name = addonName
    .replace(/^postgresql-/, "")
    .replaceAll("-", "_")
    .toUpperCase();
  return [`SCALINGO_POSTGRESQL_${name}_URL`];
}

/**
 * The app's variables, sources in order of creation. The alias is `$SCALINGO_POSTGRESQL_URL` as stored, or that variable's value when expanded.
 */
export function variablesOf(
  sources: readonly VariableSource[],
  { expandAliases }: { expandAliases: boolean },
): Variable[] {
  return sources.flatMap((source, index) => {
    const uri = connectionUri({
      host: source.host,
      port: source.port,
      user: source.resourceId,
      password: source.password,
      database: source.resourceId,
    });
    return variableNames(source.addonName, index).map((name) => ({
      id: variableId(source.resourceId, name),
      name,
      value: name === ALIAS && !expandAliases ? `$${FIRST_VARIABLE}` : uri,
    }));
  });
}

/** Stable, and 24 hex digits like every id of the API: variables of a database have no row of their own. */
function variableId(resourceId: string, name: string): string {
  return createHash("sha256").update(`${resourceId} ${name}`).digest("hex").slice(0, 24);
}
