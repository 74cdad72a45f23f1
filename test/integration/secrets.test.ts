import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { readProcessArguments } from "../harness/process-arguments.ts";

const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];
const BOBS_PASSWORD = "bobs-password-that-nobody-else-knows";
const MISTYPED = "a-password-typed-into-the-wrong-field";
/** The only files that hold a secret in clear, and who reads them is their purpose. */
const SECRET_FILES = ["first-login", "keys/master.age-identity", "local.json"];

describe("a platform after a busy day", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  /** By name: texts that nobody but their holder may see. */
  const secrets = new Map<string, string>();
  let duringDump: string[] = [];

  before(async () => {
    platform = await startPlatform(cleanUps, { environment: { TIDEMARK_LOG_LEVEL: "debug" } });
    const { addonId, uri } = await platform.provision("shop");
    await noteSecretsOfTheHome();
    secrets.set("password of the database", new URL(uri).password);
    await logInAndFail();
    await backUpAndFail(uri);
    await downloadAndFail(addonId);
    // The end of a server is told in its log, too.
    process.kill(await platform.serverPid(addonId), "SIGKILL");
    await waitFor(
      async () => (await platform.run([...ON_DATABASE, "backups-create"])).exitCode === 0,
      "a backup again",
    );
  });
  after(() => cleanUps.run());

  test("no secret stands in what the platform prints or in any file of its home but three", async () => {
    assert.equal(secrets.size, 12);
    const found = new Set<string>();
    for (const path of await filesBelow(platform.home)) {
      const content = await readFile(path);
      for (const [name, secret] of secrets) {
        if (!content.includes(secret)) continue;
        const file = relative(platform.home, path);
        assert.ok(SECRET_FILES.includes(file), `${name} stands in ${file}`);
        found.add(file);
      }
    }
    assert.deepEqual([...found].toSorted(), SECRET_FILES);
    const output = await platform.output();
    for (const [name, secret] of secrets) assert.ok(!output.includes(secret), `${name} was printed`);
  });

  test("the logs, of which there are some, say what happened all the same", async () => {
    const log = await readFile(join(platform.home, "log/platform.log"), "utf8");
    assert.match(log, /"route":"\/v1\/tokens\/exchange"/);
    assert.match(log, /"route":"\/downloads\/backups\/:backup"/);
  });

  test("files with secrets are their owner's alone, and no folder lets others in further than to its servers' files", async () => {
    for (const file of SECRET_FILES) assert.equal((await stat(join(platform.home, file))).mode & 0o777, 0o600, file);
    for (const path of await filesBelow(platform.home)) {
      const open = (await stat(path)).mode & 0o007;
      const folderOpen = (await stat(dirname(path))).mode & 0o001;
      const file = relative(platform.home, path);
      // The program's own files, which sandboxes are shown: readable to all, writable to none.
      if (file.startsWith("one-offs/program/")) {
        assert.equal(open & 0o002, 0, `others can write ${file}`);
        continue;
      }
      assert.ok(
        open === 0 || folderOpen === 0 || file === "authority/ca.crt" || file === "tidemark-home.json",
        `others can read ${file}`,
      );
    }
  });

  test("no secret stands in the arguments of any process while pg_dump runs", () => {
    assert.ok(duringDump.some((line) => line.includes("pg_dump")));
    for (const line of duringDump)
      for (const [name, secret] of secrets) assert.ok(!line.includes(secret), `${name} stands in: ${line}`);
  });

  async function noteSecretsOfTheHome(): Promise<void> {
    const firstLogin = await readFile(join(platform.home, "first-login"), "utf8");
    for (const name of ["password", "token"])
      secrets.set(`${name} of the first login`, new RegExp(`^${name}: (.*)$`, "m").exec(firstLogin)?.[1] ?? "");
    secrets.set("token of the command line", await platform.ownerToken());
    const identity = await readFile(join(platform.home, "keys/master.age-identity"), "utf8");
    secrets.set("master key", /^AGE-SECRET-KEY-\w+$/m.exec(identity)?.[0] ?? "");
  }

  async function logInAndFail(): Promise<void> {
    const input = `${BOBS_PASSWORD}\n`;
    await platform.runOk(["users-create", "bob", "--email", "bob@example.com", "--password-stdin"], { input });
    secrets.set("password of a user", BOBS_PASSWORD);
    secrets.set("password in the wrong field", MISTYPED);
    for (const pair of [`bob:${MISTYPED}`, `${MISTYPED}:x`]) {
      const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
      const body = JSON.stringify({ token: { name: "x" } });
      const headers = { authorization, "content-type": "application/json" };
      assert.equal((await fetch(`${platform.url}/v1/tokens`, { method: "POST", headers, body })).status, 401);
    }
    const made = await platform.api("POST", "/v1/tokens", { body: { token: { name: "for a script" } } });
    secrets.set("API token", pickText(made.body, "token", "token"));
    const jwt = await platform.exchange(pickText(made.body, "token", "token"));
    secrets.set("JWT", jwt);
    assert.equal((await platform.api("GET", `/v1/apps/${MISTYPED}`, { token: jwt })).status, 404);
    assert.equal((await platform.api("GET", "/v1/apps", { token: `${jwt}x` })).status, 401);
  }

  /** A dump that waits for a lock can be looked at, and cancelled. */
  async function backUpAndFail(uri: string): Promise<void> {
    await platform.runOk([...ON_DATABASE, "backups-create"]);
    const client = new Client({ connectionString: uri.replace("sslmode=prefer", "sslmode=disable") });
    await client.connect();
    try {
      for (const statement of ["create table held (id int)", "begin", "lock table held in access exclusive mode"])
        await client.query(statement);
      const { stdout } = await platform.run([...ON_DATABASE, "backups-create", "--detach", "--json"]);
      const dumping = async (): Promise<boolean> => {
        duringDump = await readProcessArguments();
        return duringDump.some((line) => line.includes("bin/pg_dump"));
      };
      await waitFor(dumping, "a pg_dump");
      const id = pickText(JSON.parse(stdout), "database_backup", "id");
      await platform.runOk([...ON_DATABASE, "backups-cancel", id]);
    } finally {
      await client.end();
    }
  }

  async function downloadAndFail(addonId: string): Promise<void> {
    const issued = await platform.api("POST", `/v1/apps/shop/addons/${addonId}/token`);
    secrets.set("addon token", pickText(issued.body, "addon", "token"));
    const { body } = await platform.api("GET", `/api/databases/${addonId}/backups`);
    const done = pickText(body, "database_backups", 1, "id");
    const link = await platform.api("GET", `/api/databases/${addonId}/backups/${done}/archive`);
    const url = new URL(pickText(link.body, "download_url"));
    secrets.set("signature of a download", url.searchParams.get("signature") ?? "");
    assert.equal((await fetch(url)).status, 200);
    url.searchParams.set("expires", "1");
    assert.equal((await fetch(url)).status, 403);
    const variables = await platform.runOk(["--app", "shop", "env"]);
    assert.ok(variables.includes(secrets.get("password of the database") ?? "-"));
    secrets.set("URI of the database", /postgresql:\/\/[^?]*/.exec(variables)?.[0] ?? "");
  }
});

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
