import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import * as fc from "fast-check";
import { emptyRouter, registerRoutes } from "../../src/http/routes.ts";
import { isFullRun } from "../harness/full.ts";
import { ADDON_ID, ALICE, APP_ID, BACKUP_ID, SIGNATURE } from "./in-memory-services.ts";
import { basic, bearer, openFace } from "./open-face.ts";

const RUNS_PER_ROUTE = isFullRun ? 1000 : 60;
/** An answer that takes longer is a hang; the machine may be busy. */
const ANSWER_DEADLINE_MS = 30_000;

const face = await openFace({ after }, { maxBodyBytes: 20_000 });

const router = emptyRouter();
registerRoutes(router);
const routes = [...new Set(router.routes.map(({ method, path }) => `${method} ${path}`))].map((route) => {
  const [method = "", template = ""] = route.split(" ");
  return { method, template };
});

const oddText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    "..",
    "%00",
    "\u0000",
    "\ud800",
    "__proto__",
    "' OR 1=1 --",
    "$(id)",
    "\u202E",
    "x".repeat(5000),
    "%",
  ),
);
const segment = fc.oneof(fc.constantFrom("my-app", APP_ID, ADDON_ID, BACKUP_ID, "t1", "postgresql"), oddText);
const headers = fc.oneof(
  fc.constantFrom(
    bearer(ALICE.jwt),
    bearer(ALICE.addonToken),
    basic("", ALICE.apiToken),
    basic("alice", ALICE.password),
    basic("alice\u0000", "\u0000"),
    { Authorization: "Basic ====" },
    {},
  ),
  fc.record({
    Authorization: fc.constant(`Bearer ${ALICE.jwt}`),
    Range: fc.constantFrom("bytes=", "bytes=9-1", "bytes=-", "bytes=1-2,", "x"),
    "If-Range": fc.constantFrom("", '"', "W/"),
    "X-Request-Id": fc.constantFrom("", "\u00ff", "a b"),
  }),
);
const knownNouns = fc.constantFrom("app", "token", "user", "addon");
const knownFields = fc.constantFrom("name", "username", "email", "password", "plan_id", "addon_provider_id", "x");
const body = fc.oneof(
  oddText,
  fc.json({ maxDepth: 4 }),
  fc
    .dictionary(knownNouns, fc.dictionary(knownFields, fc.oneof(oddText, fc.jsonValue()), { maxKeys: 5 }))
    .map((value) => JSON.stringify(value)),
  fc.constantFrom("{", "[".repeat(10_000), '{"app":{"name":"a","name":{}}}', "x".repeat(30_000), "\ufeff{}"),
);
const contentType = fc.constantFrom("application/json", "application/json; charset=utf-16", "text/plain", "a/b/c", "");
const query = fc.oneof(
  fc.constantFrom(
    "",
    "?",
    "?&&",
    "?aliases=1&aliases=2",
    "?current_name",
    `?expires=1&signature=${SIGNATURE}`,
    "?%ff=%",
  ),
  fc.dictionary(fc.constantFrom("aliases", "current_name", "expires", "signature", "__proto__"), oddText).map(toQuery),
);

function toQuery(parameters: Record<string, string>): string {
  return `?${new URLSearchParams(Object.entries(parameters)).toString()}`;
}

/** Percent-encodes what a URL can't hold, and leaves the rest as odd as it is. */
function escapeSegment(text: string): string {
  return text.replaceAll(/[^\w.%~-]/gu, (character) => encodeURIComponent(character.toWellFormed())) || "-";
}

describe("odd input", () => {
  for (const { method, template } of routes)
    test(`${method} ${template} answers JSON, never a 500, and always`, async () => {
      const request = fc.record({
        segments: fc.array(segment, { minLength: 3, maxLength: 3 }),
        query,
        headers,
        body,
        contentType,
      });
      await fc.assert(
        fc.asyncProperty(request, async (odd) => {
          let index = 0;
          const path = template.replaceAll(/:\w+/g, () => escapeSegment(odd.segments[index++] ?? ""));
          const response = await fetch(`${face.url}${path}${odd.query}`, {
            method,
            headers: { ...odd.headers, ...(odd.contentType === "" ? {} : { "Content-Type": odd.contentType }) },
            ...(method === "GET" ? {} : { body: odd.body }),
            signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
          });
          const text = await response.text();
          assert.ok(response.status < 500, `${response.status} ${text}`);
          if (response.headers.get("Content-Type") === "application/gzip" || response.status === 204) return;
          assert.equal(response.headers.get("Content-Type"), "application/json");
          const answer: unknown = JSON.parse(text);
          assert.ok(typeof answer === "object" && answer !== null);
          if (response.status >= 400) assert.ok("error" in answer || "errors" in answer, text);
        }),
        { numRuns: RUNS_PER_ROUTE },
      );
    });

  test("no such request is logged as a failure of ours", () => {
    assert.deepEqual(
      face.log.filter(({ level }) => level === "error" || level === "warn"),
      [],
    );
  });
});
