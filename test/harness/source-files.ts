import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";

/** The project's top folder, absolute. */
export const TOP: string = resolve(import.meta.dirname, "../..");

/** New files here belong to the project before they are committed; at the top they are more likely somebody's download. */
const SOURCE_FOLDERS = ["src", "test", "scripts", "bench", "bin", "docs", "dashboard"];
/** For a copy of the project that is no clone: what tools make, or whoever works in it. */
const FOREIGN_FOLDERS = new Set(["node_modules", ".git", "coverage", "dist"]);

/** Paths of the project's own files below `folder`, relative to the top, with `/`, sorted. */
export function listFiles(folder = "."): string[] {
  const all = existsSync(join(TOP, ".git")) ? listClone() : listFolder(TOP);
  return all.filter((path) => folder === "." || path.startsWith(`${folder}/`)).toSorted();
}

function listClone(): string[] {
  // Whoever runs the tests may not be the clone's owner, whom git trusts by default.
  const list = (...args: string[]): string[] =>
    execFileSync("git", ["-c", `safe.directory=${TOP}`, "ls-files", "-z", ...args], { cwd: TOP, encoding: "utf8" })
      .split("\0")
      .filter((path) => path !== "" && existsSync(join(TOP, path)));
  return [...new Set([...list(), ...list("--others", "--exclude-standard", "--", ...SOURCE_FOLDERS)])];
}

function listFolder(absolute: string): string[] {
  return readdirSync(absolute, { withFileTypes: true }).flatMap((entry) => {
    const path = join(absolute, entry.name);
    if (entry.isDirectory()) return FOREIGN_FOLDERS.has(entry.name) ? [] : listFolder(path);
    return [relative(TOP, path).split(sep).join("/")];
  });
}

/** The same, TypeScript sources only; with those that have JSX. */
export function listSources(folder: string): string[] {
  return listFiles(folder).filter((path) => /\.tsx?$/.test(path));
}

/** The text of a file, by its path from the top. */
export function readText(path: string): string {
  return readFileSync(join(TOP, path), "utf8");
}
