import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The variable by which `scripts/test.ts` tells test files the temp root of the run. */
export const TEMP_ROOT_VARIABLE = "TIDEMARK_TEST_TEMP";

/**
 * What registers a clean-up: a test's context, or `{ after }` of node:test at the top of a file or suite. Not that `after` from inside a `before`: it
 * would run as soon as the `before` ends. Collect the clean-ups there, and run them in the suite's own `after`.
 */
export interface CleanUp {
  after(clean: () => Promise<void>): void;
}

/**
 * Makes an empty folder for one test and removes it when the test ends, also when it fails.
 *
 * Its parents and itself are 0755, since servers that tests start as root run as another user and must reach it. Make what holds a secret 0700 inside.
 * Below the run's temp root, so that the runner finds what a test left behind; below the system's temp folder when a file is run by itself.
 */
export async function makeTempFolder(cleanUp: CleanUp): Promise<string> {
  const root = process.env[TEMP_ROOT_VARIABLE] ?? tmpdir();
  await mkdir(root, { recursive: true });
  const folder = await mkdtemp(join(root, "tidemark-"));
  await chmod(folder, 0o755);
  cleanUp.after(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}
