/**
 * Builds dashboard/dist, which the platform serves, unless what is there was made from the same sources. `npm start` and `npm test` call it; it needs no network.
 *
 *   node dashboard/scripts/build.ts
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDashboardTypes } from "./generate-types.ts";

const TOP = join(import.meta.dirname, "../..");
const DASHBOARD = join(TOP, "dashboard");
const DIST = join(DASHBOARD, "dist");
const STAMP = "build-stamp";
/** Everything that a build depends on; the lock names the versions of what it is built with. */
const INPUTS = [
  "dashboard/index.html",
  "dashboard/package.json",
  "dashboard/public",
  "dashboard/src",
  "dashboard/vite.config.ts",
  "docs/reference/openapi.json",
  "package-lock.json",
  "dashboard/scripts/generate-types.ts",
];

if (import.meta.main) await buildDashboard();

/** Builds when the sources differ from those of the last build. The old build is there until the new one is complete. */
export async function buildDashboard(): Promise<void> {
  const stamp = await hashInputs();
  if (stamp === readStamp()) return;
  process.stdout.write("-----> Building the dashboard\n");
  writeDashboardTypes();
  // Loaded only here: most starts have nothing to build.
  const { build } = await import("vite");
  const outDir = await mkdtemp(join(DASHBOARD, "dist-"));
  try {
    await build({ root: DASHBOARD, logLevel: "warn", build: { outDir, emptyOutDir: true } });
    await writeFile(join(outDir, STAMP), stamp);
    // Whoever runs the platform need not be who built this.
    await chmod(outDir, 0o755);
    await rm(DIST, { recursive: true, force: true });
    await rename(outDir, DIST);
  } finally {
    await rm(outDir, { recursive: true, force: true });
  }
}

function readStamp(): string | undefined {
  try {
    return readFileSync(join(DIST, STAMP), "utf8");
  } catch {
    // Never built.
    return undefined;
  }
}

async function hashInputs(): Promise<string> {
  const hash = createHash("sha256");
  const files = (await Promise.all(INPUTS.map(filesBelow))).flat().toSorted();
  for (const path of files) hash.update(`${path}\0`).update(await readFile(join(TOP, path)));
  return hash.digest("hex");
}

/** Paths of the files that `path` is or holds. */
async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(join(TOP, path), { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(TOP.length + 1));
}
