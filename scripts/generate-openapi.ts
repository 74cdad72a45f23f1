/**
 * Writes docs/reference/openapi.json from the routes in src/http. Run it after each change of a route; a test compares the two.
 *
 *   node scripts/generate-openapi.ts && npx oxfmt docs/reference/openapi.json
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeApi } from "../src/http/openapi.ts";
import { emptyRouter, registerRoutes } from "../src/http/routes.ts";

const TOP = join(import.meta.dirname, "..");

/** The text of docs/reference/openapi.json. */
export function openapiReference(): string {
  const router = emptyRouter();
  registerRoutes(router);
  // package.json always has a version; npm refuses it otherwise.
  const { version } = JSON.parse(readFileSync(join(TOP, "package.json"), "utf8")) as { version: string };
  return `${JSON.stringify(describeApi(router, version), undefined, 2)}\n`;
}

if (import.meta.main) writeFileSync(join(TOP, "docs/reference/openapi.json"), openapiReference());
