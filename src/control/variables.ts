import { createHash } from "node:crypto";
import { connectionUri } from "../postgres/connection.ts";
import type { Variable } from "./model.ts";

const FIRST_VARIABLE = "SCALINGO_POSTGRESQL_URL";
const ALIAS = "DATABASE_URL";
/** Clients take the first variable with this in its name for a database's. */
const RESERVED = "SCALINGO_POSTGRESQL";
const ALIAS_VALUE = /^\$([A-Za-z0-9_-]+)$/;
/** An alias of an alias is followed so far; longer chains are circles. */
const ALIAS_STEPS_MAX = 10;

/** A database as its app's variables need it. Holds the password. */
export interface VariableSource {
  /** The addon's name in its app: `postgresql`, `postgresql-2`. */
  readonly addonName: string;
  readonly resourceId: string;
  readonly host: string;
  readonly port: number;
  readonly password: string;
}

/** The variables that an addon gives its app, without their values; `index` is its place in order of creation. */
export function variableNames(
  { addonName, resourceId }: Pick<VariableSource, "addonName" | "resourceId">,
  index: number,
): Pick<Variable, "id" | "name">[] {
  const named = addonName
    .replace(/^postgresql-/, "")
    .replaceAll("-", "_")
    .toUpperCase();
  const names = index === 0 ? [FIRST_VARIABLE, ALIAS] : [`${RESERVED}_${named}_URL`];
  return names.map((name) => ({ id: variableId(resourceId, name), name }));
}

/** Whether a name belongs to databases, be there one of it or not. */
export function isReservedName(name: string): boolean {
  return name.includes(RESERVED);
}

/** The variables of an app's databases, sources in order of creation. The alias is `$SCALINGO_POSTGRESQL_URL`, as stored. */
export function variablesOf(sources: readonly VariableSource[]): Variable[] {
  return sources.flatMap((source, index) => {
    const uri = connectionUri({
      host: source.host,
      port: source.port,
      user: source.resourceId,
      password: source.password,
      database: source.resourceId,
    });
    return variableNames(source, index).map(({ id, name }) => ({
      id,
      name,
      value: name === ALIAS ? `$${FIRST_VARIABLE}` : uri,
      isManaged: true,
    }));
  });
}

/** Replaces each value that is `$` and another variable's name by that one's value. Names that there are not, and circles, stay as they are. */
export function followAliases(variables: readonly Variable[]): Variable[] {
  const values = new Map(variables.map(({ name, value }) => [name, value]));
  return variables.map((variable) => {
    let { value } = variable;
    for (let step = 0; step < ALIAS_STEPS_MAX; step++) {
      const target = values.get(ALIAS_VALUE.exec(value)?.[1] ?? "");
      if (target === undefined) return { ...variable, value };
      value = target;
    }
    return variable;
  });
}

/** Stable, and 24 hex digits like every id of the API: variables of a database have no row of their own. */
function variableId(resourceId: string, name: string): string {
  return createHash("sha256").update(`${resourceId} ${name}`).digest("hex").slice(0, 24);
}
