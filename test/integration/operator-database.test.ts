import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { type Platform, preparePlatform } from "../harness/platform.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { readProcessArguments } from "../harness/process-arguments.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const PASSWORD = "an-operators-own-secret";
const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];

describe("a platform on the operator's own PostgreSQL", () => {
  const cleanUps = collectCleanUps();
  let server: PostgresServer;
  let platform: Platform;

  before(async () => {
    server = await startPostgresServer(cleanUps, { tcp: true });
    await server.query(`create role operator login password '${PASSWORD}'`);
    await server.query("create database control owner operator");
    platform = await preparePlatform(cleanUps, { environment: { TIDEMARK_DATABASE_URL: uri() } });
    await platform.start();
  });
  after(() => cleanUps.run());

  test("it works as on its private one, which it doesn't make, and takes up where it left off", async (t) => {
    assert.ok(!(await readdir(platform.home)).includes("control"));
    await platform.provision("shop");
    assert.equal(await platform.runOk([...ON_DATABASE, "backups-create"]), "-----> Backup successfully finished\n");
    assert.equal(await platform.stop(), 0);
    await platform.start();
    const folder = await makeTempFolder(t);
    await platform.runOk([...ON_DATABASE, "backups-download"], { folder });
    assert.equal((await readdir(folder)).length, 1);
    const tables = "select count(*) > 10 as made from pg_tables where tableowner = 'operator'";
    assert.deepEqual(await server.query(tables, [], { database: "control" }), [{ made: true }]);
  });

  test("the password of its URI stands in no log and in no process's arguments", async () => {
    for (const line of await readProcessArguments()) assert.doesNotMatch(line, new RegExp(PASSWORD));
    for (const name of await readdir(join(platform.home, "log")))
      assert.doesNotMatch(await readFile(join(platform.home, "log", name), "utf8"), new RegExp(PASSWORD));
    assert.doesNotMatch(await platform.output(), new RegExp(PASSWORD));
  });

  test("a URI that leads nowhere ends the start with a message that doesn't repeat it", async (t) => {
    const elsewhere = [
      uri({ password: `${PASSWORD}-wrong` }),
      uri({ port: "1" }),
      uri({ database: "absent" }),
      uri({ host: "host.invalid" }),
      `postgresql://operator:${PASSWORD}@[nonsense/x`,
    ];
    for (const url of elsewhere) {
      const other = await preparePlatform(t, { environment: { TIDEMARK_DATABASE_URL: url } });
      const child = other.launch();
      await once(child, "exit", { signal: AbortSignal.timeout(60_000) });
      const output = await other.output();
      assert.notEqual(child.exitCode, 0, url);
      assert.match(output, / !     \S/, url);
      assert.doesNotMatch(output, new RegExp(PASSWORD), output);
      assert.doesNotMatch(output, /Unexpected failure/, output);
    }
  });

  function uri(change: { password?: string; port?: string; database?: string; host?: string } = {}): string {
    const { password = PASSWORD, port = String(server.port), database = "control", host = "127.0.0.1" } = change;
    return `postgresql://operator:${password}@${host}:${port}/${database}`;
  }
});
