import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";

/** The project's top folder, absolute. */
export const TOP: string = resolve(import.meta.dirname, "../..");

/** Made by tools, never committed. */
const GENERATED_FOLDERS = new Set(["node_modules", ".git", "coverage", "dist"]);

/** Paths of the project's own files below `folder`, relative to the top, with `/`, sorted. */
export function listFiles(folder = "."): string[] {
  const walk = (absolute: string): string[] =>
    readdirSync(absolute, { withFileTypes: true }).flatMap((entry) => {
      const path = join(absolute, entry.name);
      if (entry.isDirectory()) return GENERATED_FOLDERS.has(entry.name) ? [] : walk(path);
      return [relative(TOP, path).split(sep).join("/")];
    });
  return walk(join(TOP, folder)).toSorted();
}

/** The same, TypeScript sources only. */
export function listSources(folder: string): string[] {
  return listFiles(folder).filter((path) => path.endsWith(".ts"));
}

/** The text of a file, by its path from the top. */
export function readText(path: string): string {
  return readFileSync(join(TOP, path), "utf8");
}
