import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { COMMANDS } from "../../src/cli/commands/all.ts";
import { type CliRun, runCli } from "../cli/run-cli.ts";
import { type ApiRoute, bodyOf, fieldsOf, fillPath, readAnswer, readRoutes } from "../harness/api-routes.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { pick, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform } from "../harness/platform.ts";

/** An answer that takes longer is a hang; the machine may be busy. */
const ANSWER_DEADLINE_MS = 30_000;
const JSON_HEADERS = { "content-type": "application/json" };

/** Texts that no body can be parsed from, with what they are answered. */
const BODIES: readonly { readonly body: string; readonly statuses: readonly number[] }[] = [
  ...["", "{", "}{", '{"app":', "\u0000", '{"a":01}', "[".repeat(50_000), "\ufeffx"].map((body) => ({
    body,
    statuses: [400],
  })),
  ...["null", "[]", "1", '"text"', "true"].map((body) => ({ body, statuses: [400, 422] })),
  { body: "{}", statuses: [422] },
  { body: JSON.stringify({ app: "x".repeat(2 * 1024 * 1024) }), statuses: [413] },
];

/** Values for any one field: of another type, too long, or no text that PostgreSQL or a terminal could take. */
const FIELD_VALUES: readonly unknown[] = [
  [null, true, -1, 1e308, [], {}, ["x"], { $gt: "" }],
  ["", " ", "\u0000", "a\u0000b", "\ud800", "\u202e", "\u001b[31m", "x".repeat(100_000), "🐘".repeat(300)],
  ["../../etc/passwd", "' or 1=1 --", "$(id)", "%s%n", "__proto__", "NaN"],
].flat();

const ABSURD_IDS = [
  ["..", ".", " ", "%", "\u0000", "a\u0000", "\ud83d", "🐘", "-", "0", "-1", "x".repeat(101), "x".repeat(5000)],
  ["ad-", "ad-00000000-0000-4000-8000-000000000000", "000000000000000000000000", "' or '1'='1", "a/b", "__proto__"],
].flat();

describe("bad input to a real platform", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let routes: ApiRoute[] = [];
  let ids: Record<string, string> = {};
  let authorizations: Record<string, string> = {};

  before(async () => {
    platform = await startPlatform(cleanUps);
    const { addonId } = await platform.provision("shop");
    await platform.runOk(["--app", "shop", "--addon", "postgresql", "backups-create"]);
    const { body } = await platform.api("GET", `/api/databases/${addonId}/backups`);
    const { body: tokens } = await platform.api("GET", "/v1/tokens");
    ids = {
      app: "shop",
      addon: addonId,
      backup: pickText(body, "database_backups", 0, "id"),
      restore: "69230c1fa7b8c9d0e1f2a3b4",
      operation: "69230c1fa7b8c9d0e1f2a3b5",
      id: pickText(tokens, "tokens", 0, "id"),
      provider: "postgresql",
      user: "reporting",
      maintenance: "000000000000000000000000",
      container: "one-off-1",
      reference: `69230c1fa7b8c9d0e1f2a3b4-${"a".repeat(32)}`,
    };
    const jwt = await platform.ownerJwt();
    authorizations = {
      userToken: `Bearer ${jwt}`,
      databaseToken: `Bearer ${jwt}`,
      apiToken: `Basic ${Buffer.from(`:${await platform.ownerToken()}`).toString("base64")}`,
    };
    routes = await readRoutes(platform.url);
    assert.ok(routes.length >= 25);
  });
  after(() => cleanUps.run());

  test("a body that can't be read is refused with the reason, at every route that takes one", async () => {
    for (const route of withBody()) {
      const named = { ...route, path: `${route.path}?current_name=other` };
      for (const { body, statuses } of BODIES) {
        const { status } = await send(named, ids, { headers: JSON_HEADERS, body });
        assert.ok(statuses.includes(status), `${route.method} ${route.path} ${body.slice(0, 40)}: ${status}`);
      }
      const noJson = await send(named, ids, { headers: { "content-type": "text/plain" }, body: "{}" });
      assert.equal(noJson.status, 415, `${route.method} ${route.path}`);
    }
  });

  test("a field that is missing or has an odd value is refused or taken, and never more than that", async () => {
    for (const route of withBody()) {
      for (const { path, types, isRequired } of fieldsOf(route.bodySchema)) {
        for (const value of [undefined, ...FIELD_VALUES]) {
          const body = JSON.stringify(bodyOf(route.bodySchema, path, value));
          const { status } = await send(route, ids, { headers: JSON_HEADERS, body });
          const mayBeTaken = value === undefined ? !isRequired : types.includes(jsonType(value));
          const what = `${route.method} ${route.path} ${path.join(".")}: ${body.slice(0, 80)}: ${status}`;
          assert.ok([400, 404, 409, 422].includes(status) || (mayBeTaken && status < 300), what);
        }
      }
    }
  });

  test("an absurd id is nobody's, wherever it stands", async () => {
    for (const route of routes.filter(({ parameters }) => parameters.length > 0)) {
      for (const parameter of route.parameters) {
        for (const id of ABSURD_IDS) {
          const parameters = { ...ids, [parameter]: id.toWellFormed() };
          const { status } = await send(
            { ...route, path: `${route.path}?current_name=other` },
            parameters,
            plainBody(route),
          );
          // A signed address is checked before what it names; a path of dots is another path, which may take other methods.
          const expected = route.path.startsWith("/downloads/") ? [403, 404] : [404, 405];
          assert.ok(
            expected.includes(status) || isAnotherPath(id),
            `${route.method} ${route.path} ${id.slice(0, 40)}: ${status}`,
          );
        }
      }
    }
    assert.equal((await platform.api("GET", "/v1/apps/shop")).status, 200);
  });

  test("odd queries are refused or ignored", async () => {
    const queries = [
      "?",
      "?&&=&",
      "?%ff=%00",
      "?aliases=maybe",
      "?aliases[]=1",
      "?current_name=other",
      "?expires=NaN&signature=%00",
      `?${"x=1&".repeat(2000)}`,
    ];
    for (const route of routes.filter(({ method }) => method === "GET" || method === "DELETE")) {
      for (const query of queries) {
        const safe = route.method === "DELETE" ? { ...ids, id: "nothing", addon: "nothing" } : ids;
        const { status } = await send({ ...route, path: route.path + query }, safe);
        assert.ok(status < 500, `${route.method} ${route.path}${query.slice(0, 40)}: ${status}`);
      }
    }
    assert.equal((await platform.api("GET", "/v1/apps/shop")).status, 200);
  });

  test("a method that an address doesn't take is answered with those that it does", async () => {
    for (const path of new Set(routes.map((route) => route.path))) {
      const own = routes.filter((route) => route.path === path).map(({ method }) => method);
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
        const response = await fetch(platform.url + fillPath(path, ids), { method, signal: deadline() });
        const { status, allow } = await answerOf(response);
        // `exchange` could be a token's id, too: then this address takes the methods of both.
        if (own.includes(method) || status === 401) continue;
        assert.equal(status, 405, `${method} ${path}`);
        assert.deepEqual(
          own.filter((each) => allow?.split(", ").includes(each) !== true),
          [],
        );
      }
    }
    for (const path of ["/nothing", "/v1", "/v1/apps/shop/nothing", "//", "/%2e%2e/%2e%2e/etc/passwd"])
      assert.equal((await answerOf(await fetch(platform.url + path))).status, 404, path);
  });

  test("odd credentials are refused at every route that wants any", async () => {
    const odd = [
      "Bearer",
      "Bearer ",
      "Bearer \u00ff",
      `Bearer ${"x".repeat(10_000)}`,
      "Basic",
      "Basic ====",
      "Basic Og==",
      "Digest x",
      "x",
    ];
    for (const route of routes.filter(({ schemes }) => schemes.length > 0)) {
      for (const authorization of odd) {
        const { status } = await send(route, ids, { headers: { authorization } });
        assert.equal(status, 401, `${route.method} ${route.path} ${authorization.slice(0, 20)}`);
      }
    }
  });

  test("nothing of it was a failure of the platform's own", async () => {
    const log = await readFile(join(platform.home, "log/platform.log"), "utf8");
    const failures = log.split("\n").filter((line) => line !== "" && Number(pick(JSON.parse(line), "level")) >= 50);
    assert.deepEqual(failures, []);
  });

  test("every command that names what isn't there ends with 1 or 2, a message and nothing else", async () => {
    const lines = [
      ...["env", "env-get X", "addons", "addons-add postgresql postgresql-starter-512", "destroy --force"].map(
        (line) => `-a nothing ${line}`,
      ),
      ...[
        "addons-info",
        "addons-remove --force",
        "backups",
        "backups-create",
        "backups-download",
        "backups-cancel 1",
      ].flatMap((line) => [
        `-a nothing --addon postgresql ${line}`,
        `-a shop --addon nothing ${line}`,
        `-a shop --addon ../../v1/users ${line}`,
      ]),
      "-a shop addons-add postgresql no-such-plan",
      "-a shop addons-add mysql x",
      "addons-plans mysql",
      "-a shop env-get NOTHING",
      "create Not.A.Name",
      "create shop",
      `create ${"x".repeat(49)}`,
      "destroy nothing --force",
      "tokens-remove nothing",
      "users-create X --email x --generate-password",
      "-a shop --addon postgresql backups-cancel nothing",
      "-a shop --addon postgresql backups-download --backup nothing",
      `-a shop --addon postgresql backups-download --backup ${ids["backup"]} --output /nonexistent/folder/file`,
    ];
    for (const line of lines) assertFailed(await command(line.split(" ")), line);
  });

  test("every command refuses odd arguments in the same way", async () => {
    const odd = ["\u0000", "🐘", "a/../b", "x".repeat(5000), "--", "%00"];
    // What `run` is given are another program's words, and its exit code is that program's.
    const withArgument = COMMANDS.filter(({ name }) => name !== "run");
    for (const spec of withArgument.filter((each) => each.arguments?.[0]?.name.startsWith("<") === true)) {
      for (const value of odd) {
        const values = (spec.arguments ?? []).map(() => value);
        const argv = ["-a", "shop", "--addon", "postgresql", ...spec.name.split(" "), ...values];
        const run = await command(argv);
        // A token's name and the like may be anything; what is taken is told as usual.
        if (run.exitCode !== 0) assertFailed(run, `${spec.name} ${value.slice(0, 20)}`);
        else assert.equal(run.stderr, "", `${spec.name} ${value.slice(0, 20)}`);
      }
    }
  });

  function withBody(): ApiRoute[] {
    return routes.filter(({ bodySchema }) => bodySchema !== undefined);
  }

  /** Sends a request, logged in as its route wants it, and checks what holds of every answer. */
  async function send(
    route: ApiRoute,
    parameters: Record<string, string>,
    { headers = {}, body }: { headers?: Record<string, string>; body?: string } = {},
  ): Promise<{ status: number }> {
    const scheme = route.schemes.find((each) => authorizations[each] !== undefined);
    const authorization = scheme === undefined ? {} : { authorization: authorizations[scheme] ?? "" };
    const response = await fetch(platform.url + fillPath(route.path, parameters), {
      method: route.method,
      headers: { ...authorization, ...headers },
      ...(body === undefined ? {} : { body }),
      signal: deadline(),
    });
    return await answerOf(response);
  }

  async function command(argv: readonly string[]): Promise<CliRun> {
    const environment = { TIDEMARK_URL: platform.url, TIDEMARK_TOKEN: await platform.ownerToken() };
    return await runCli(argv, { environment });
  }
});

/** Never a 5xx; every refusal is JSON and says what is wrong. */
async function answerOf(response: Response): Promise<{ status: number; allow: string | null }> {
  const text = await readAnswer(response);
  assert.ok(response.status < 500, `${response.url}: ${response.status} ${text}`);
  if (response.status >= 400) {
    assert.equal(response.headers.get("content-type"), "application/json", response.url);
    const answer: unknown = JSON.parse(text);
    assert.ok(typeof pick(answer, "error") === "string" || typeof pick(answer, "errors") === "object", text);
  }
  return { status: response.status, allow: response.headers.get("allow") };
}

function assertFailed({ exitCode, stdout, stderr }: CliRun, line: string): void {
  assert.ok(exitCode === 1 || exitCode === 2, `${line}: exit code ${exitCode}`);
  assert.match(stderr, /^ !     \S/, line);
  assert.equal(stdout, "", line);
}

/** A request with a plain value in every field; without a body for a route that takes none. */
function plainBody({ bodySchema }: ApiRoute): { headers?: Record<string, string>; body?: string } {
  if (bodySchema === undefined) return {};
  return { headers: JSON_HEADERS, body: JSON.stringify(bodyOf(bodySchema)) };
}

/** As JSON schema names it. */
function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
}

/** `fetch` makes shorter paths of these. */
function isAnotherPath(id: string): boolean {
  return id === "." || id === "..";
}

function deadline(): AbortSignal {
  return AbortSignal.timeout(ANSWER_DEADLINE_MS);
}
