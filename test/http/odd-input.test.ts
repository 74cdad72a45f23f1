import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, describe, test } from "node:test";
import * as fc from "fast-check";
import { systemErrorCode } from "../../src/core/errors.ts";
import { type ApiRoute, bodyOf, fieldsOf, readAnswer, readRoutes } from "../harness/api-routes.ts";
import { isFullRun } from "../harness/full.ts";
import { ADDON_ID, ALICE, APP_ID, BACKUP_ID, SIGNATURE } from "./in-memory-services.ts";
import { basic, bearer, openFace } from "./open-face.ts";

const RUNS_PER_ROUTE = isFullRun ? 1000 : 40;
/** An answer that takes longer is a hang; the machine may be busy. */
const ANSWER_DEADLINE_MS = 30_000;

const face = await openFace({ after }, { maxBodyBytes: 20_000 });

/** Every route that the document tells of, with the shapes of what it takes: one that is added later is tested with the others. */
const routes = await readRoutes(face.url);

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
const oddJson = fc.oneof(
  oddText,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(1e308, -1, 0.5, 2 ** 53, true, null, [], {}, [[]], "0001-01-01T00:00:00Z", "\ud800"),
);

/** Anything at all, or what the document says with odd values in some of its places. */
function bodiesOf({ bodySchema }: ApiRoute) {
  const whatever = fc.oneof(
    oddText,
    fc.json({ maxDepth: 4 }),
    fc.constantFrom("{", "[".repeat(10_000), '{"app":{"name":"a","name":{}}}', "x".repeat(30_000), "\ufeff{}"),
  );
  if (bodySchema === undefined) return whatever;
  const paths = fieldsOf(bodySchema).flatMap(({ path }) => path.map((_, index) => path.slice(0, index + 1)));
  const shaped = fc
    .record({ path: fc.constantFrom(...paths, []), value: oddJson })
    .map(({ path, value }) => JSON.stringify(bodyOf(bodySchema, path, value)));
  return fc.oneof({ arbitrary: shaped, weight: 3 }, { arbitrary: whatever, weight: 1 });
}

const contentType = fc.constantFrom("application/json", "application/json; charset=utf-16", "text/plain", "a/b/c", "");
function queriesOf({ query }: ApiRoute) {
  const names = fc.constantFrom(...query, "aliases", "__proto__", "page");
  return fc.oneof(
    fc.constantFrom("", "?", "?&&", "?aliases=1&aliases=2", `?expires=1&signature=${SIGNATURE}`, "?%ff=%"),
    fc.dictionary(names, fc.oneof(oddText, fc.constantFrom("-1", "0", "1e9", "99999999999999999999"))).map(toQuery),
    fc.dictionary(names, oddText).map((parameters) => `${toQuery(parameters)}&${toQuery(parameters).slice(1)}`),
  );
}

function toQuery(parameters: Record<string, string>): string {
  return `?${new URLSearchParams(Object.entries(parameters)).toString()}`;
}

/** Percent-encodes what a URL can't hold, and leaves the rest as odd as it is. */
function escapeSegment(text: string): string {
  return text.replaceAll(/[^\w.%~-]/gu, (character) => encodeURIComponent(character.toWellFormed())) || "-";
}

const HEAD = `Host: 127.0.0.1\r\nAuthorization: Bearer ${ALICE.jwt}\r\nConnection: close\r\n`;
const JSON_HEAD = `${HEAD}Content-Type: application/json\r\n`;

/** What no HTTP client sends. */
const RAW_REQUESTS: readonly (readonly [what: string, bytes: string])[] = [
  ["no Host", "GET /v1/apps HTTP/1.1\r\nConnection: close\r\n\r\n"],
  ["an old version", "GET /v1/apps HTTP/1.0\r\n\r\n"],
  ["an absolute address", `GET http://other.example/v1/apps HTTP/1.1\r\n${HEAD}\r\n`],
  ["a star for an address", `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`],
  ["two slashes", `GET //v1//apps HTTP/1.1\r\n${HEAD}\r\n`],
  ["a way up", `GET /v1/apps/../../etc/passwd HTTP/1.1\r\n${HEAD}\r\n`],
  ["a broken escape", `GET /v1/apps/%zz%c0%ae HTTP/1.1\r\n${HEAD}\r\n`],
  ["raw bytes in its address", `GET /v1/apps/\xff\xfe HTTP/1.1\r\n${HEAD}\r\n`],
  ["a Host that is none", "GET /v1/apps HTTP/1.1\r\nHost: a b\0c\r\nConnection: close\r\n\r\n"],
  ["a Host with a path", "GET /v1/apps HTTP/1.1\r\nHost: x/../@y:99999\r\nConnection: close\r\n\r\n"],
  ["two lengths", `POST /v1/apps HTTP/1.1\r\n${JSON_HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
  ["a negative length", `POST /v1/apps HTTP/1.1\r\n${JSON_HEAD}Content-Length: -1\r\n\r\n{}`],
  [
    "length and chunks",
    `POST /v1/apps HTTP/1.1\r\n${JSON_HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["a broken chunk", `POST /v1/apps HTTP/1.1\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
  [
    "a body that says it is compressed",
    `POST /v1/apps HTTP/1.1\r\n${JSON_HEAD}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`,
  ],
  ["an expectation", `POST /v1/apps HTTP/1.1\r\n${JSON_HEAD}Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n{}`],
  ["endless headers", `GET /v1/apps HTTP/1.1\r\n${"X-A: b\r\n".repeat(5000)}${HEAD}\r\n`],
  ["one large header", `GET /v1/apps HTTP/1.1\r\nX-A: ${"b".repeat(200_000)}\r\n${HEAD}\r\n`],
  ["two tokens", `GET /v1/apps HTTP/1.1\r\nAuthorization: Bearer x\r\n${HEAD}\r\n`],
  ["a NUL in its token", "GET /v1/apps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\0b\r\nConnection: close\r\n\r\n"],
  ["an upgrade", `GET /v1/apps HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`],
  ["a tunnel to elsewhere", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n"],
  ["a trace", `TRACE /v1/apps HTTP/1.1\r\n${HEAD}\r\n`],
];

/** Requests it, checks that the answer is what clients can read, and gives its status. */
async function answers(path: string, init: RequestInit): Promise<number> {
  const response = await fetch(`${face.url}${path}`, { ...init, signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) });
  const text = await readAnswer(response);
  const what = `${init.method} ${path.slice(0, 200)}: ${response.status} ${text.slice(0, 500)}`;
  assert.ok(response.status < 500, what);
  const type = response.headers.get("Content-Type") ?? "";
  if (type === "application/gzip" || text === "" || !type.startsWith("application/json")) {
    assert.ok(response.status < 300 || response.status === 304, what);
    return response.status;
  }
  const answer: unknown = JSON.parse(text);
  assert.ok(typeof answer === "object" && answer !== null, what);
  if (response.status >= 400) assert.ok("error" in answer || "errors" in answer, what);
  return response.status;
}

/** All that comes back for these bytes, until the other side closes or has answered. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(face.server.port, "127.0.0.1");
  socket.setTimeout(ANSWER_DEADLINE_MS, () => socket.destroy(new Error("no answer")));
  let answer = "";
  // Large bytes may be refused before they have all been sent: a reset, then.
  socket.on("error", (error) => assert.notEqual(systemErrorCode(error), undefined, error.message));
  socket.setEncoding("latin1").on("data", (text: string) => {
    answer += text;
    if (answer.includes("\r\n\r\n")) socket.end();
  });
  socket.write(bytes, "latin1");
  await new Promise((resolve) => socket.once("close", resolve));
  return answer;
}

describe("odd input", () => {
  for (const route of routes)
    test(`${route.method} ${route.path} answers JSON, never a 500, and always`, async () => {
      const request = fc.record({
        segments: fc.array(segment, { minLength: 3, maxLength: 3 }),
        query: queriesOf(route),
        headers,
        body: bodiesOf(route),
        contentType,
      });
      await fc.assert(
        fc.asyncProperty(request, async (odd) => {
          let index = 0;
          const path = route.path.replaceAll(/\{\w+\}/g, () => escapeSegment(odd.segments[index++] ?? ""));
          await answers(`${path}${odd.query}`, {
            method: route.method,
            headers: { ...odd.headers, ...(odd.contentType === "" ? {} : { "Content-Type": odd.contentType }) },
            ...(route.method === "GET" ? {} : { body: odd.body }),
          });
        }),
        { numRuns: RUNS_PER_ROUTE },
      );
    });

  test("every address answers each method, those that it doesn't take too", async () => {
    for (const path of new Set(routes.map((route) => route.path)))
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
        const init = { method, headers: bearer(ALICE.jwt) };
        const status = await answers(path.replaceAll(/\{\w+\}/g, "my-app"), init);
        const isTaken = routes.some((route) => route.path === path && route.method === method);
        // The same words can be another address: `/v1/apps/collaboration` is one of `/v1/apps/{app}`.
        if (!isTaken && method === "PROPFIND") assert.ok([404, 405].includes(status), `${method} ${path}: ${status}`);
      }
  });

  test("addresses and bodies of any length are answered", async () => {
    for (const { path, method } of routes) {
      const long = path.replaceAll(/\{\w+\}/g, "a".repeat(4000));
      await answers(`${long}/${"b/".repeat(1000)}?${"c=d&".repeat(500)}`, { method, headers: bearer(ALICE.jwt) });
      if (method === "GET") continue;
      const body = JSON.stringify({ x: "y".repeat(100_000) });
      const status = await answers(path.replaceAll(/\{\w+\}/g, "my-app"), {
        method,
        headers: { ...bearer(ALICE.jwt), "Content-Type": "application/json" },
        body,
      });
      assert.ok(status >= 400, `${method} ${path}: ${status}`);
    }
  });

  for (const [what, bytes] of RAW_REQUESTS)
    test(`a request with ${what} gets an answer or its connection's end`, async () => {
      const answer = await exchange(bytes);
      assert.doesNotMatch(answer, /^HTTP\/1\.1 5/);
      if (answer !== "") assert.match(answer, /^HTTP\/1\.1 [1-4]\d\d /);
    });

  test("no such request is logged as a failure of ours", () => {
    assert.deepEqual(
      face.log.filter(({ level }) => level === "error" || level === "warn"),
      [],
    );
  });
});
