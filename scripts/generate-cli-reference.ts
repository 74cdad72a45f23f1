/**
 * Writes docs/reference/cli.md from the commands themselves.
 *
 * Usage: node scripts/generate-cli-reference.ts
 */
import { writeFile } from "node:fs/promises";
import { createProgram } from "../src/cli/command-tree.ts";
import { renderReference } from "../src/cli/reference.ts";

const program = createProgram({
  version: "",
  streams: { stdout: process.stdout, stderr: process.stderr },
  run: () => Promise.resolve(),
});
await writeFile(new URL("../docs/reference/cli.md", import.meta.url), renderReference(program));
