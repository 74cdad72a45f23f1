import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bodyOf, fillPath, readRoutes } from "../harness/api-routes.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { EventStream } from "../harness/event-stream.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { type CommandResult, type Platform, startPlatform } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const PASSWORD = "a password of bob's: with colons";
const NEW_ADDON = { addon_provider_id: "postgresql", plan_id: "postgresql-starter-512" };

interface Owned {
  readonly appId: string;
  readonly addonId: string;
  readonly resourceId: string;
  readonly backupId: string;
  readonly restoreId: string;
  readonly tokenId: string;
}

/** Of things that may be anything: what they are of is what is refused. */
const OTHER_IDS = {
  user: "reporting",
  maintenance: "000000000000000000000000",
};

describe("two users of a platform", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let owned: Owned;
  let bobsHome = "";
  let bob = { jwt: "", tokenId: "", addonId: "", addonToken: "" };

  before(async () => {
    platform = await startPlatform(cleanUps);
    bobsHome = await makeTempFolder(cleanUps);
    owned = await makeOwned();
    const argv = ["users-create", "bob", "--email", "bob@example.com", "--password-stdin"];
    assert.equal(await platform.runOk(argv, { input: `${PASSWORD}\n` }), "-----> User bob has been created\n");
    bob = await makeBobs();
  });
  after(() => cleanUps.run());

  test("both log in by name, by address and by token, at the command line as at the API", async () => {
    for (const identifier of ["bob", "bob@example.com", "BOB"]) {
      const shown = await asBob(["login", "--username", identifier, "--password-stdin"], `${PASSWORD}\n`);
      assert.deepEqual([shown.exitCode, shown.stdout], [0, "-----> Hello bob, nice to see you!\n"], shown.stderr);
      assert.match((await asBob(["whoami"])).stdout, /You are logged in as bob \(bob@example\.com\)/);
    }
    const made = await platform.api("POST", "/v1/tokens", {
      token: bob.jwt,
      body: { token: { name: "for a script" } },
    });
    const byToken = await platform.run(["whoami"], {
      environment: { TIDEMARK_TOKEN: pickText(made.body, "token", "token") },
    });
    assert.equal(byToken.stdout, "-----> You are logged in as bob (bob@example.com)\n");
    assert.match(await platform.runOk(["whoami"]), /You are logged in as owner/);
  });

  test("only the owner makes users", async () => {
    const user = { username: "eve", email: "eve@example.com", password: "a password of eve's" };
    const { status, body } = await platform.api("POST", "/v1/users", { token: bob.jwt, body: { user } });
    assert.deepEqual([status, pick(body, "code")], [403, "forbidden"]);
    const wrong = await platform.api("POST", "/v1/tokens", { token: null, body: {} });
    assert.equal(wrong.status, 401);
  });

  test("each sees apps, addons, databases, backups, variables and tokens of their own only", async () => {
    const ownerJwt = await platform.ownerJwt();
    const views = [
      { path: "/v1/apps", of: ["apps"], name: "name", owners: ["shop"], bobs: ["bobs-app"] },
      { path: "/v1/status", of: ["databases"], name: "addon_id", owners: [owned.addonId], bobs: [bob.addonId] },
    ];
    for (const { path, of, name, owners, bobs } of views) {
      for (const [token, expected] of [
        [ownerJwt, owners],
        [bob.jwt, bobs],
      ] as const) {
        const { body } = await platform.api("GET", path, { token });
        assert.deepEqual(
          pickList(body, ...of).map((each) => pick(each, name)),
          expected,
          path,
        );
      }
    }
    const tokensOf = async (token: string): Promise<unknown[]> =>
      pickList((await platform.api("GET", "/v1/tokens", { token })).body, "tokens").map((each) => pick(each, "id"));
    const [owners, bobs] = [await tokensOf(ownerJwt), await tokensOf(bob.jwt)];
    assert.ok(owners.includes(owned.tokenId) && bobs.includes(bob.tokenId));
    assert.deepEqual(
      owners.filter((id) => bobs.includes(id)),
      [],
    );
  });

  test("every route answers 404 to what is another user's, by name, id and resource id, and changes nothing", async () => {
    const routes = (await readRoutes(platform.url)).filter(
      ({ parameters, schemes }) => parameters.length > 0 && schemes.length > 0,
    );
    assert.ok(routes.length >= 13);
    for (const route of routes) {
      for (const app of ["shop", owned.appId]) {
        for (const addon of [owned.addonId, owned.resourceId, "postgresql"]) {
          const path = fillPath(route.path, {
            ...OTHER_IDS,
            app,
            addon,
            backup: owned.backupId,
            restore: owned.restoreId,
            id: owned.tokenId,
            operation: owned.backupId,
            container: "one-off-1",
            reference: `${owned.backupId}-${"a".repeat(32)}`,
          });
          // An unknown provider would be a 404 of its own.
          const body = route.path.endsWith("/addons") ? { addon: NEW_ADDON } : bodyOf(route.bodySchema);
          const tokens = route.schemes.includes("databaseToken") ? [bob.jwt, bob.addonToken] : [bob.jwt];
          for (const token of tokens) {
            const sent = route.bodySchema === undefined ? { token } : { token, body };
            const answer = await platform.api(route.method, `${path}?current_name=shop`, sent);
            assert.equal(answer.status, 404, `${route.method} ${path}: ${JSON.stringify(answer.body)}`);
            assert.doesNotMatch(JSON.stringify(answer.body), /tk-us-|@localhost|"status"|_url/);
          }
        }
      }
    }
    const { body } = await platform.api("GET", `/api/databases/${owned.addonId}/backups`);
    assert.deepEqual(
      pickList(body, "database_backups").map((each) => [pick(each, "id"), pick(each, "status")]),
      [[owned.backupId, "done"]],
    );
    assert.equal((await platform.api("GET", `/v1/apps/shop/addons/${owned.addonId}`)).status, 200);
  });

  test("each one's timeline tells what concerns them, and the audit is the owner's alone", async () => {
    const typesOf = async (path: string, token: string): Promise<unknown[]> =>
      pickList((await platform.api("GET", `${path}?per_page=100`, { token })).body, "events").map((each) =>
        pick(each, "type"),
      );
    const ownerJwt = await platform.ownerJwt();
    const shop = await typesOf("/v1/apps/shop/events", ownerJwt);
    for (const type of ["new_app", "new_addon", "database_backup_requested", "database_backup_succeeded"])
      assert.ok(shop.includes(type), `${type} is not in ${JSON.stringify(shop)}`);
    const { body } = await platform.api("GET", "/v1/events?per_page=100", { token: bob.jwt });
    assert.ok(pickList(body, "events").every((each) => pick(each, "app_name") !== "shop"));
    const bobs = await typesOf("/v1/events", bob.jwt);
    for (const type of ["new_user", "login_success", "new_token", "new_app"]) assert.ok(bobs.includes(type), type);
    for (const path of ["audit", "databases", "operations"])
      assert.equal((await platform.api("GET", `/v1/platform/${path}`, { token: bob.jwt })).status, 403, path);
    const audit = await platform.api("GET", "/v1/platform/audit?user=bob&type=new_app", { token: ownerJwt });
    assert.deepEqual(
      pickList(audit.body, "events").map((each) => [pick(each, "app_name"), pick(each, "address")]),
      [["bobs-app", "127.0.0.1"]],
    );
    assert.doesNotMatch(JSON.stringify([body, audit.body]), /tk-us-|a password/);
  });

  test("each hears of changes of what they may see, for as long as they may, and while their login lasts", async () => {
    const session = await fetch(`${platform.url}/v1/session`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`bob:${PASSWORD}`).toString("base64")}` },
    });
    const cookie = (session.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const ofBob = await followChanges({ cookie });
    const ofOwner = await followChanges({ authorization: `Bearer ${await platform.ownerJwt()}` });
    const setVariable = (app: string, token: string) =>
      platform.api("POST", `/v1/apps/${app}/variables`, { token, body: { variable: { name: "MODE", value: "fast" } } });
    const ownerJwt = await platform.ownerJwt();

    await setVariable("shop", ownerJwt);
    await setVariable("bobs-app", bob.jwt);
    assert.ok((await heardUntil(ofOwner, "variables of bobs-app")).has("variables of shop"));
    assert.ok(![...(await heardUntil(ofBob, "variables of bobs-app"))].some((each) => each.endsWith(" of shop")));

    const collaborator = { email: "bob@example.com", is_limited: true };
    const added = await platform.api("POST", "/v1/apps/shop/collaborators", { body: { collaborator } });
    await heardUntil(ofBob, "collaborators of shop");
    const id = pickText(added.body, "collaborator", "id");
    await platform.api("DELETE", `/v1/apps/shop/collaborators/${id}`);
    await platform.api("DELETE", `/v1/apps/shop/variables/${await variableOf("shop", ownerJwt)}`);
    await platform.api("DELETE", `/v1/apps/bobs-app/variables/${await variableOf("bobs-app", bob.jwt)}`, {
      token: bob.jwt,
    });
    assert.ok(!(await heardUntil(ofBob, "variables of bobs-app")).has("variables of shop"));

    const { body } = await fetch(`${platform.url}/v1/session`, { headers: { cookie } }).then(async (reply) => ({
      body: await reply.json(),
    }));
    const proof = { "x-csrf-token": pickText(body, "session", "csrf_token") };
    const closed = await fetch(`${platform.url}/v1/session`, { method: "DELETE", headers: { cookie, ...proof } });
    assert.equal(closed.status, 204);
    while ((await ofBob.next()) !== undefined);
    await ofOwner.leave();
  });

  test("an addon's token opens that addon only, and nothing of the platform's API", async () => {
    const own = await platform.api("GET", `/api/databases/${bob.addonId}`, { token: bob.addonToken });
    assert.equal(own.status, 200);
    const second = await makeAddon("bobs-app", bob.jwt);
    assert.equal((await platform.api("GET", `/api/databases/${second}`, { token: bob.jwt })).status, 200);
    assert.equal((await platform.api("GET", `/api/databases/${second}`, { token: bob.addonToken })).status, 404);
    for (const path of ["/v1/apps", "/v1/users/self", "/v1/tokens", "/v1/status"])
      assert.equal((await platform.api("GET", path, { token: bob.addonToken })).status, 401, path);
  });

  test("a signed address opens one backup: altered, or moved to another backup, it opens none", async () => {
    const link = new URL(await archiveLink());
    assert.equal((await fetch(link)).status, 200);
    const other = await platform.runOk(["--app", "shop", "--addon", "postgresql", "backups-create", "--json"]);
    const otherId = pickText(JSON.parse(other), "database_backup", "id");
    const altered = [
      (url: URL) => url.searchParams.set("signature", changed(url.searchParams.get("signature") ?? "")),
      (url: URL) => url.searchParams.set("signature", ""),
      (url: URL) => url.searchParams.delete("signature"),
      (url: URL) => url.searchParams.set("expires", String(Number(url.searchParams.get("expires")) + 1)),
      (url: URL) => url.searchParams.set("expires", "99999999999"),
      (url: URL) => url.searchParams.delete("expires"),
      (url: URL) => (url.pathname = url.pathname.replace(owned.backupId, otherId)),
      (url: URL) => (url.pathname = url.pathname.replace(owned.backupId, "0".repeat(24))),
    ];
    for (const alter of altered) {
      const url = new URL(link);
      alter(url);
      const answer = await fetch(url);
      assert.equal(answer.status, 403, String(url));
      assert.equal(pick(await answer.json(), "code"), "link_expired");
    }
  });

  test("a removed token ends every login that was made from it", async () => {
    const made = await platform.api("POST", "/v1/tokens", { token: bob.jwt, body: { token: { name: "stolen" } } });
    const secret = pickText(made.body, "token", "token");
    const jwt = await platform.exchange(secret);
    const { body } = await platform.api("POST", `/v1/apps/bobs-app/addons/${bob.addonId}/token`, { token: jwt });
    const addonToken = pickText(body, "addon", "token");
    assert.equal((await platform.api("GET", `/api/databases/${bob.addonId}`, { token: addonToken })).status, 200);
    const removed = await platform.api("DELETE", `/v1/tokens/${pickText(made.body, "token", "id")}`, {
      token: bob.jwt,
    });
    assert.equal(removed.status, 204);
    await assert.rejects(platform.exchange(secret), /No token/);
    assert.equal((await platform.api("GET", "/v1/apps", { token: jwt })).status, 401);
    assert.equal((await platform.api("GET", `/api/databases/${bob.addonId}`, { token: addonToken })).status, 401);
    assert.equal((await platform.api("GET", "/v1/apps", { token: bob.jwt })).status, 200);
  });

  test("a JWT that was altered or signed by others is refused", async () => {
    const [header = "", payload = "", signature = ""] = bob.jwt.split(".");
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    assert.equal(typeof pick(claims, "exp"), "number");
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
    const forged = [
      `${header}.${payload}.${changed(signature)}`,
      `${none}.${payload}.`,
      `${header}.${Buffer.from(JSON.stringify({ ...Object(claims), sub: owned.appId })).toString("base64url")}.${signature}`,
      "x.y.z",
      "tk-us-",
    ];
    for (const token of forged) assert.equal((await platform.api("GET", "/v1/apps", { token })).status, 401, token);
  });

  // The last one: bob can't log in from this machine after it.
  test("a login is refused for a while after ten wrong passwords, the right one too, and tokens go on working", async () => {
    for (let failure = 0; failure < 10; failure++) assert.equal((await login("bob", "wrong")).status, 401);
    const refused = await login("bob", PASSWORD);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get("retry-after")) > 60);
    const shown = await asBob(["login", "--username", "bob", "--password-stdin"], `${PASSWORD}\n`);
    assert.equal(shown.exitCode, 1);
    assert.match(shown.stderr, /Too many failed logins; try again in \d+ seconds/);
    assert.equal((await platform.api("GET", "/v1/apps")).status, 200);
  });

  async function makeOwned(): Promise<Owned> {
    const { addonId, resourceId } = await platform.provision("shop");
    await platform.runOk(["--app", "shop", "--addon", "postgresql", "backups-create"]);
    const { body: backups } = await platform.api("GET", `/api/databases/${addonId}/backups`);
    const backupId = pickText(backups, "database_backups", 0, "id");
    const words = ["--app", "shop", "--addon", "postgresql", "backups-restore", backupId, "--yes", "--json"];
    const restored: unknown = JSON.parse(await platform.runOk(words));
    const { body: app } = await platform.api("GET", "/v1/apps/shop");
    const { body: tokens } = await platform.api("GET", "/v1/tokens");
    return {
      appId: pickText(app, "app", "id"),
      addonId,
      resourceId,
      backupId,
      restoreId: pickText(restored, "logical_restore", "id"),
      tokenId: pickText(tokens, "tokens", 0, "id"),
    };
  }

  async function makeBobs(): Promise<typeof bob> {
    const token: unknown = await (await login("bob", PASSWORD)).json();
    const jwt = await platform.exchange(pickText(token, "token", "token"));
    await platform.api("POST", "/v1/apps", { token: jwt, body: { app: { name: "bobs-app" } } });
    const addonId = await makeAddon("bobs-app", jwt);
    const { body } = await platform.api("POST", `/v1/apps/bobs-app/addons/${addonId}/token`, { token: jwt });
    return { jwt, tokenId: pickText(token, "token", "id"), addonId, addonToken: pickText(body, "addon", "token") };
  }

  async function makeAddon(app: string, token: string): Promise<string> {
    const { body } = await platform.api("POST", `/v1/apps/${app}/addons`, { token, body: { addon: NEW_ADDON } });
    return pickText(body, "addon", "id");
  }

  async function archiveLink(): Promise<string> {
    const { body } = await platform.api("GET", `/api/databases/${owned.addonId}/backups/${owned.backupId}/archive`);
    return pickText(body, "download_url");
  }

  async function followChanges(headers: Record<string, string>): Promise<EventStream> {
    const stream = new EventStream(await fetch(`${platform.url}/v1/changes`, { headers }));
    assert.equal(pick((await stream.next())?.data, "everything"), true);
    return stream;
  }

  async function variableOf(app: string, token: string): Promise<string> {
    const { body } = await platform.api("GET", `/v1/apps/${app}/variables`, { token });
    const found = pickList(body, "variables").find((each) => pick(each, "name") === "MODE");
    return pickText(found, "id");
  }

  async function login(identifier: string, password: string): Promise<Response> {
    return await fetch(`${platform.url}/v1/tokens`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`${identifier}:${password}`).toString("base64")}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ token: { name: "a login" } }),
    });
  }

  /** The command line on another machine: without the platform's home. */
  async function asBob(argv: readonly string[], input?: string): Promise<CommandResult> {
    const environment = { HOME: bobsHome, TIDEMARK_HOME: join(bobsHome, "none"), TIDEMARK_URL: platform.url };
    return await platform.run(argv, { environment, ...(input === undefined ? {} : { input }) });
  }
});

/** What a stream tells, as `topic of app`, until it tells this. */
async function heardUntil(stream: EventStream, wanted: string): Promise<ReadonlySet<string>> {
  const heard = new Set<string>();
  while (!heard.has(wanted)) {
    const event = await stream.next();
    assert.ok(event !== undefined, `the stream ended before ${wanted}`);
    if (event.type === "beat") continue;
    for (const change of pickList(event.data, "changes"))
      for (const topic of pickList(change, "topics"))
        heard.add(`${String(topic)} of ${String(pick(change, "app_name"))}`);
  }
  return heard;
}

/** The same length, another first character. */
function changed(text: string): string {
  return (text.startsWith("A") ? "B" : "A") + text.slice(1);
}
