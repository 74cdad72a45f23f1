/** What lies at `path` inside parsed JSON: names of members, indexes of elements. Undefined when there is nothing. */
export function pick(value: unknown, ...path: (string | number)[]): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== "object" || found === null) return undefined;
    // Arrays and objects alike answer to their keys; what lies there is unknown until it is looked at.
    found = (found as Record<string | number, unknown>)[step];
  }
  return found;
}

/** The text at `path`; throws with the whole value when there is none. */
export function pickText(value: unknown, ...path: (string | number)[]): string {
  const found = pick(value, ...path);
  if (typeof found === "string") return found;
  throw new Error(`No text at ${path.join(".")} of ${JSON.stringify(value)}`);
}

/** The list at `path`; throws with the whole value when there is none. */
export function pickList(value: unknown, ...path: (string | number)[]): unknown[] {
  const found = pick(value, ...path);
  if (Array.isArray(found)) return found;
  throw new Error(`No list at ${path.join(".")} of ${JSON.stringify(value)}`);
}
