import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../src/core/clock.ts";
import { unwrapDatabaseKey } from "../../src/keys/database-key.ts";
import { openMasterKey } from "../../src/keys/master-key.ts";
import { readDatabaseKey } from "../../src/repository/database-keys.ts";
import { listLogicalBackups } from "../../src/repository/logical-backups.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { program } from "../harness/postgres-server.ts";

const run = promisify(execFile);
const ON_APP = ["--app", "my-app"];

interface Provisioned {
  readonly addonId: string;
  readonly resourceId: string;
  readonly uri: string;
  readonly serverPid: number;
}

describe("the databases of an app, from their making to their end", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let first: Provisioned;
  let second: Provisioned;

  before(async () => {
    platform = await startPlatform(cleanUps);
    await platform.provision("my-app");
    await platform.runOk([...ON_APP, "addons-add", "postgresql", "postgresql-starter-1024", "--wait"]);
    [first, second] = await bothDatabases();
  });
  after(() => cleanUps.run());

  test("an app with two databases has the variables of both, and each leads to its own", async () => {
    assert.equal(
      await platform.runOk([...ON_APP, "env"]),
      [
        `SCALINGO_POSTGRESQL_URL=${first.uri}`,
        "DATABASE_URL=$SCALINGO_POSTGRESQL_URL",
        `SCALINGO_POSTGRESQL_2_URL=${second.uri}`,
        "",
      ].join("\n"),
    );
    assert.equal((await platform.runOk([...ON_APP, "env-get", "DATABASE_URL"])).trim(), first.uri);
    for (const { uri, resourceId } of [first, second])
      assert.equal(await psql(uri, "select current_user || ' ' || current_database()"), `${resourceId} ${resourceId}`);
    const exchanged = new URL(first.uri);
    exchanged.pathname = `/${second.resourceId}`;
    await assert.rejects(psql(exchanged.href, "select 1"), /database ".*" does not exist/);
  });

  test("addons-info shows what a database is", async () => {
    const shown = await platform.runOk([...ON_APP, "addons-info", second.resourceId]);
    assert.match(shown, /\| Size +\| (not known yet|\d+(\.\d)? [kMG]B) +\|/);
    for (const row of [
      ["ID", second.addonId],
      ["Resource ID", second.resourceId],
      ["Plan", "postgresql-starter-1024"],
      ["Status", "running"],
      ["Database Type", "postgresql"],
    ])
      assert.match(shown, new RegExp(`\\| ${row[0]} +\\| ${row[1]} +\\|`));
  });

  test("connections can be made to insist on TLS, and on the platform's authority", async () => {
    const authority = join(platform.home, "authority/ca.crt");
    const tls = "select version from pg_stat_ssl where pid = pg_backend_pid()";
    for (const mode of ["require", "verify-ca", "verify-full"])
      assert.match(await psql(first.uri, tls, { PGSSLMODE: mode, PGSSLROOTCERT: authority }), /^TLSv1\.[23]$/);
    const stranger = join(platform.home, "databases", second.addonId, "tls/server.crt");
    const untrusted = psql(first.uri, tls, { PGSSLMODE: "verify-ca", PGSSLROOTCERT: stranger });
    await assert.rejects(untrusted, /certificate verify failed/);
    const wrong = first.uri.replace(/:\w+@/, ":wrong@");
    await assert.rejects(psql(wrong, "select 1"), /password authentication failed/);
  });

  test("an owner may make trusted extensions, and nothing that reaches beyond the own database", async () => {
    await psql(first.uri, "create extension pgcrypto; create extension hstore");
    for (const forbidden of [
      "select pg_read_file('/etc/passwd')",
      "select pg_ls_dir('/')",
      "copy (select 1) to '/tmp/tidemark-probe'",
      "create temp table t (line text); copy t from program 'id'",
      "create role someone login",
      `alter role "${first.resourceId}" superuser`,
      "set role tidemark",
      "set role tidemark_backup",
      "create database another",
      "create extension file_fdw",
      "alter system set shared_buffers = '1GB'",
      "select rolpassword from pg_authid",
      "select pg_reload_conf()",
      "select lo_import('/etc/passwd')",
      "select pg_create_physical_replication_slot('mine')",
    ])
      await assert.rejects(
        psql(first.uri, forbidden),
        /permission denied|must be superuser|must have|permission/i,
        forbidden,
      );
    const elsewhere = new URL(first.uri);
    elsewhere.pathname = "/postgres";
    await assert.rejects(psql(elsewhere.href, "select 1"), /permission denied for database "postgres"/);
  });

  test("a database that can't run says why, and its backup is refused for that reason", async () => {
    await platform.stop();
    const squatter = createServer().listen(portOf(first.uri), "127.0.0.1");
    await once(squatter, "listening");
    try {
      await platform.start();
      const reason = new RegExp(`${first.resourceId}: .*${portOf(first.uri)}.*`);
      // It ends with 1, since not every database is well.
      const status = async (): Promise<string> => (await platform.run(["status"])).stdout;
      await waitFor(async () => reason.test(await status()), "the reason in the status");
      assert.match(await status(), new RegExp(`\\| ${first.resourceId} +\\| stopped +\\|`));
      const info = await platform.runOk([...ON_APP, "addons-info", first.addonId]);
      assert.match(info, /\| Status +\| stopped +\|/);
      assert.match(info, reason);
      const refused = await platform.run([...ON_APP, "--addon", first.addonId, "backups-create"]);
      assert.deepEqual([refused.exitCode, refused.stdout], [1, ""]);
      assert.match(
        refused.stderr,
        new RegExp(`^ !     409 Conflict → .*can't be backed up now: .*${portOf(first.uri)}`),
      );
      assert.equal((await platform.api("POST", `/api/databases/${first.addonId}/backups`)).status, 409);
      await platform.runOk([...ON_APP, "--addon", second.addonId, "backups-create"]);
    } finally {
      squatter.close();
    }
    await waitFor(async () => (await statusOf(first.addonId)) === "running", "a database that has its port back");
    await platform.runOk([...ON_APP, "--addon", first.addonId, "backups-create"]);
    // The other one's first base backup may still be on its way.
    await waitFor(async () => {
      const { exitCode, stdout } = await platform.run(["status"]);
      return exitCode === 0 && !stdout.includes("/!\\");
    }, "a status without a warning");
  });

  test("a database whose server is killed is stopped with a reason, and comes back by itself", async () => {
    const pid = await platform.serverPid(second.addonId);
    process.kill(pid, "SIGKILL");
    let reason: unknown;
    await waitFor(async () => {
      const { body } = await platform.api("GET", `/api/databases/${second.addonId}`);
      reason = pick(body, "database", "status_reason") ?? reason;
      return typeof reason === "string";
    }, "a reason");
    await waitFor(async () => (await statusOf(second.addonId)) === "running", "a server that was started again");
    assert.notEqual(await platform.serverPid(second.addonId), pid);
    assert.equal(await psql(second.uri, "select 1"), "1");
  });

  test("addons-remove removes what was typed out, and with it the server and its files, not the backups", async () => {
    const { serverPid } = await databaseOf(second.addonId);
    const mistyped = await platform.run([...ON_APP, "addons-remove", second.addonId], { input: `${first.addonId}\n` });
    assert.equal(mistyped.exitCode, 1);
    assert.match(mistyped.stderr, /nothing was removed/);
    assert.equal(await statusOf(second.addonId), "running");
    const removed = await platform.runOk([...ON_APP, "addons-remove", second.addonId], {
      input: `${second.addonId}\n`,
    });
    assert.equal(removed, `-----> Addon ${second.addonId} has been destroyed\n`);
    await assertGone({ ...second, serverPid });
    assert.deepEqual(await variableNames(), ["SCALINGO_POSTGRESQL_URL", "DATABASE_URL"]);
    assert.equal((await platform.run([...ON_APP, "--addon", second.addonId, "backups"])).exitCode, 1);
    assert.deepEqual(await backupsInRepository(second.addonId), 1);
  });

  test("a resource id is never given twice", async () => {
    await platform.runOk([...ON_APP, "addons-add", "postgresql", "postgresql-starter-512", "--wait"]);
    const [, third] = await bothDatabases();
    assert.ok(numberOf(third) > numberOf(second) && numberOf(second) > numberOf(first));
    await platform.runOk([...ON_APP, "addons-remove", third.resourceId, "--force"]);
    await assertGone(third);
  });

  test("destroy removes the app with its databases, and their backups stay", async () => {
    const { serverPid } = await databaseOf(first.addonId);
    const mistyped = await platform.run(["destroy", "my-app"], { input: "my-ap\n" });
    assert.deepEqual([mistyped.exitCode, mistyped.stdout], [1, ""]);
    assert.equal(
      await platform.runOk(["destroy", "my-app"], { input: "my-app\n" }),
      "-----> App my-app has been deleted\n",
    );
    await assertGone({ ...first, serverPid });
    assert.equal((await platform.run([...ON_APP, "addons"])).exitCode, 1);
    assert.equal(await backupsInRepository(first.addonId), 1);
    const again = await platform.provision("my-app");
    assert.notEqual(again.resourceId, first.resourceId);
  });

  async function bothDatabases(): Promise<[Provisioned, Provisioned]> {
    const { body } = await platform.api("GET", "/v1/apps/my-app/addons");
    const [one, other] = await Promise.all(pickList(body, "addons").map((addon) => databaseOf(pickText(addon, "id"))));
    assert.ok(one !== undefined && other !== undefined);
    return [one, other];
  }

  async function databaseOf(addonId: string): Promise<Provisioned> {
    const { body } = await platform.api("GET", `/v1/apps/my-app/addons/${addonId}`);
    const resourceId = pickText(body, "addon", "resource_id");
    const variables = await platform.api("GET", "/v1/apps/my-app/variables?aliases=true");
    const uri = pickList(variables.body, "variables")
      .map((variable) => pickText(variable, "value"))
      .find((value) => value.endsWith(`/${resourceId}?sslmode=prefer`));
    return { addonId, resourceId, uri: uri ?? "", serverPid: await platform.serverPid(addonId) };
  }

  async function variableNames(): Promise<unknown[]> {
    const { body } = await platform.api("GET", "/v1/apps/my-app/variables");
    return pickList(body, "variables").map((variable) => pick(variable, "name"));
  }

  async function statusOf(addonId: string): Promise<unknown> {
    return pick((await platform.api("GET", `/api/databases/${addonId}`)).body, "database", "status");
  }

  /** Server, files and port; the removal is asked for before it is done. */
  async function assertGone({ addonId, uri, serverPid }: Provisioned): Promise<void> {
    await waitFor(async () => !(await exists(`/proc/${serverPid}`)), "the end of the server");
    await waitFor(async () => !(await exists(join(platform.home, "databases", addonId))), "the end of its files");
    await assert.rejects(async () => {
      const socket = connect(portOf(uri), "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
    });
  }

  /** As an operator counts them who has nothing but the repository and the master key. */
  async function backupsInRepository(addonId: string): Promise<number> {
    const now = systemClock.now();
    const master = await openMasterKey({ folder: join(platform.home, "keys"), mayCreate: false, now });
    const repository = await openRepository(await openFolderStore(join(platform.home, "repository")));
    const wrapped = await readDatabaseKey(repository, addonId);
    assert.ok(wrapped !== undefined);
    const identity = await unwrapDatabaseKey(master, addonId, wrapped);
    const entries = await Array.fromAsync(listLogicalBackups(repository, addonId, identity));
    for (const { manifest } of entries) assert.ok(manifest !== undefined);
    return entries.length;
  }
});

async function psql(uri: string, sql: string, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  // What the environment asks for counts only where the URI says nothing.
  const target = "PGSSLMODE" in environment ? uri.replace("?sslmode=prefer", "") : uri;
  const args = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", target, "-c", sql];
  const { stdout } = await run(program("psql"), args, { env: { ...process.env, ...environment } });
  return stdout.trim();
}

function portOf(uri: string): number {
  return Number(new URL(uri).port);
}

function numberOf({ resourceId }: Provisioned): number {
  return Number(/\d+$/.exec(resourceId)?.[0]);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
