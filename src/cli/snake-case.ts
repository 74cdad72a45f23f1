/** The same data with names as the API writes them: `storedBytes` becomes `stored_bytes`, at every depth. */
export function snakeCaseNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => snakeCaseNames(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [snakeCase(name), snakeCaseNames(item)]));
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
