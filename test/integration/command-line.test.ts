import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Client } from "pg";
import { isRecord, type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];

describe("tidemark on a real platform", () => {
  let platform: Platform;
  let uri = "";
  let addonId = "";
  const cleanUps: (() => Promise<void>)[] = [];

  before(async () => {
    platform = await startPlatform({ after: (clean) => cleanUps.unshift(clean) });
    ({ uri, addonId } = await platform.provision("shop"));
  });
  after(async () => {
    for (const clean of cleanUps) await clean();
  });

  async function backups(): Promise<{ id: string; status: string; name: string }[]> {
    const reply: unknown = JSON.parse(await platform.runOk([...ON_DATABASE, "backups", "--json"]));
    assert.ok(isRecord(reply) && Array.isArray(reply["database_backups"]));
    return reply["database_backups"].map((backup: unknown) => {
      assert.ok(isRecord(backup));
      return { id: String(backup["id"]), status: String(backup["status"]), name: String(backup["name"]) };
    });
  }

  /** Holds a lock that a dump must wait for until `release` is called or the test ends. */
  async function holdLock(t: TestContext): Promise<{ release: () => Promise<void> }> {
    // Without `sslmode`: `pg` reads it otherwise than libpq, and wants a certificate that it can verify.
    const client = new Client({ connectionString: uri.replace(/\?.*$/, "") });
    await client.connect();
    let held = true;
    const release = async (): Promise<void> => {
      if (held) await client.end();
      held = false;
    };
    t.after(release);
    await client.query("create table if not exists locked (id int)");
    await client.query("begin");
    await client.query("lock table locked in access exclusive mode");
    return { release };
  }

  test("backups-create, backups and backups-download give back an archive that pg_restore reads", async (t) => {
    const folder = await makeTempFolder(t);
    assert.equal(await platform.runOk([...ON_DATABASE, "backups-create"]), "-----> Backup successfully finished\n");
    const [newest] = await backups();
    assert.equal(newest?.status, "done");
    const file = `${newest.name}.tar.gz`;
    const printed = await platform.runOk([...ON_DATABASE, "backups-download"], { folder });
    assert.equal(printed, `-----> Selected the most recent successful backup\n===> ${file}\n`);
    assert.deepEqual(await readdir(folder), [file]);
    await run("tar", ["-xzf", file], { cwd: folder });
    const list = await run("pg_restore", ["--list", join(folder, newest.name, `${newest.name}.pgsql`)]);
    assert.match(list.stdout, /dbname: shop_\d+/);
    const json: unknown = JSON.parse(await platform.runOk([...ON_DATABASE, "backups-download", "--json"], { folder }));
    assert.ok(isRecord(json));
    assert.equal(
      json["sha256"],
      createHash("sha256")
        .update(await readFile(join(folder, file)))
        .digest("hex"),
    );
  });

  test("backups-create that meets a running backup waits for it, then makes its own", async (t) => {
    const lock = await holdLock(t);
    await platform.runOk([...ON_DATABASE, "backups-create", "--detach"]);
    const [running] = await backups();
    const second = platform.run([...ON_DATABASE, "backups-create"]);
    const refused = await platform.run([...ON_DATABASE, "backups-create", "--detach"]);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^ !     409 Conflict → /);
    await lock.release();
    const result = await second;
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stdout, /Backup successfully finished\n$/);
    const [own, first] = await backups();
    assert.deepEqual([own?.status, first?.id, first?.status], ["done", running?.id, "done"]);
  });

  test("backups-cancel ends a running backup, and who waits for it is told", async (t) => {
    await holdLock(t);
    const waiting = platform.run([...ON_DATABASE, "backups-create"]);
    await waitFor(async () => (await backups())[0]?.status === "running", "a running backup");
    const [running] = await backups();
    const cancelled = await platform.runOk([...ON_DATABASE, "backups-cancel", running?.id ?? ""]);
    assert.equal(cancelled, `-----> Backup ${running?.id} has been cancelled\n`);
    const result = await waiting;
    assert.equal(result.exitCode, 1);
    assert.match(result.stderr, new RegExp(`^ !     Backup ${running?.id} failed: `));
    assert.equal((await backups())[0]?.status, "error");
  });

  test("backups-create tells the truth when the platform is killed and started again meanwhile", async (t) => {
    const lock = await holdLock(t);
    const waiting = platform.run([...ON_DATABASE, "backups-create"]);
    await waitFor(async () => (await backups())[0]?.status === "running", "a running backup");
    await platform.kill();
    await lock.release();
    await platform.start();
    const result = await waiting;
    const [backup] = await backups();
    const expected = backup?.status === "done" ? 0 : 1;
    assert.equal(result.exitCode, expected, `${result.stdout}${result.stderr}`);
  });

  test("login with the first password works without the platform's home, and logout ends it", async (t) => {
    const home = await makeTempFolder(t);
    const environment = { HOME: home, TIDEMARK_HOME: join(home, "none") };
    const password = /^password: (.*)$/m.exec(await readFile(join(platform.home, "first-login"), "utf8"))?.[1] ?? "";
    const argv = ["login", "--url", platform.url, "--username", "owner", "--password-stdin"];
    const login = await platform.run(argv, { input: `${password}\n`, environment });
    assert.deepEqual(login, { exitCode: 0, stdout: "-----> Hello owner, nice to see you!\n", stderr: "" });
    assert.equal((await platform.run(["whoami"], { environment })).exitCode, 0);
    assert.equal((await platform.run(["logout"], { environment })).exitCode, 0);
    const afterwards = await platform.run(["whoami", "--url", platform.url], { environment });
    assert.equal(afterwards.exitCode, 1);
    assert.match(afterwards.stderr, /You are not logged in to/);
  });

  test("a second user is made by the owner only, and sees nothing of the first", async (t) => {
    const home = await makeTempFolder(t);
    const environment = { HOME: home, TIDEMARK_HOME: join(home, "none"), TIDEMARK_URL: platform.url };
    const input = "a password of alice's\n";
    await platform.runOk(["users-create", "alice", "--email", "alice@example.com", "--password-stdin"], { input });
    const login = await platform.run(["login", "--username", "alice", "--password-stdin"], { input, environment });
    assert.equal(login.exitCode, 0, login.stderr);
    assert.match((await platform.run(["apps"], { environment })).stdout, /You haven't created any app yet/);
    for (const argv of [["addons"], ["--addon", addonId, "backups"], ["--addon", addonId, "backups-create"], ["env"]]) {
      const hidden = await platform.run(["--app", "shop", ...argv], { environment });
      assert.equal(hidden.exitCode, 1, argv.join(" "));
      assert.equal(hidden.stdout, "");
      assert.match(hidden.stderr, /not found|There is no/);
    }
    const refused = await platform.run(["users-create", "bob", "--email", "bob@example.com", "--generate-password"], {
      environment,
    });
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /Request forbidden \(403\)/);
  });

  test("status, addons-info and the removal of a database agree with what happened", async () => {
    assert.match(await platform.runOk(["status"]), /\| shop \| shop_\d+\s+\| running \|/);
    assert.match(await platform.runOk(["--app", "shop", "addons-info", "pgsql"]), /\| Version\s+\| 15\.\d+/);
    const removed = await platform.runOk(["--app", "shop", "addons-remove", "postgresql"], { input: `${addonId}\n` });
    assert.equal(removed, `-----> Addon ${addonId} has been destroyed\n`);
    assert.match(await platform.runOk(["--app", "shop", "addons"]), /^\+[-+]+\+\n\|[^\n]*\|\n\+[-+]+\+\n$/);
    assert.equal(await platform.runOk(["destroy", "shop", "--force"]), "-----> App shop has been deleted\n");
  });
});
