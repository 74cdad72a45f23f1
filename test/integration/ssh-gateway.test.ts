import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { readContents } from "../harness/database-contents.ts";
import { localForward, makeKeyPair, openSshMissing, openSshOptions, ssh } from "../harness/open-ssh.ts";
import { pickList, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const FIXTURE = join(import.meta.dirname, "../fixtures/first-backup/every-kind-of-object.sql");
/** The line that users copy from the documentation, whose tunnel has the port that was free. */
const DUMP_LINE = `pg_dump --clean --if-exists --format c --dbname "\${SCALINGO_DB_URL}" --no-owner --no-privileges --no-comments --exclude-schema 'information_schema' --exclude-schema '^pg_*' --file dump.pgsql`;
const RESTORE_LINE = `pg_restore --clean --if-exists --no-owner --no-privileges --no-comments --dbname "\${SCALINGO_DB_URL}" dump.pgsql`;
/** RSA by SHA-2, both ECDSA curves that people use, and Ed25519. */
const KEY_TYPES = ["rsa:2048", "ecdsa:256", "ecdsa:521", "ed25519"];

describe("the SSH gateway with OpenSSH's client", { skip: openSshMissing }, () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let folder = "";
  let database = { addonId: "", resourceId: "", uri: "" };
  let options: readonly string[] = [];
  let authority = "";

  before(async () => {
    platform = await startPlatform(cleanUps);
    folder = await makeTempFolder(cleanUps);
    database = await platform.provision("my-app");
    authority = new URL(database.uri).host;
    for (const type of KEY_TYPES) {
      const pair = await makeKeyPair(folder, type);
      await addKey(type.replace(":", "-"), pair.publicKey);
    }
    options = await openSshOptions(platform, { identity: join(folder, "id_ed25519"), folder });
  });
  after(() => cleanUps.run());

  for (const type of KEY_TYPES)
    test(`ssh -L with a key of type ${type} carries psql to the database`, async (t) => {
      const identity = join(folder, `id_${type.replace(":", "_")}`);
      const { port } = await localForward(t, await openSshOptions(platform, { identity, folder }), authority);
      const { stdout } = await run("psql", ["--no-psqlrc", "-Atc", "select current_database()", through(port)]);
      assert.equal(stdout.trim(), database.resourceId);
    });

  test("the documented pg_dump line and its pg_restore bring everything back through the tunnel", async (t) => {
    const work = await makeTempFolder(t);
    const { port } = await localForward(t, options, authority);
    await run("psql", ["--no-psqlrc", "-qv", "ON_ERROR_STOP=1", "-f", FIXTURE, through(port)]);
    const contents = await readContents(await platform.superuser(database.addonId, database.resourceId));
    const environment = { ...process.env, SCALINGO_DB_URL: through(port) };
    await run("bash", ["-c", DUMP_LINE], { cwd: work, env: environment });
    const other = await platform.provision("other-app");
    const { port: otherPort } = await localForward(t, options, new URL(other.uri).host);
    environment.SCALINGO_DB_URL = through(otherPort, other.uri);
    await run("bash", ["-c", RESTORE_LINE], { cwd: work, env: environment });
    assert.deepEqual(await readContents(await platform.superuser(other.addonId, other.resourceId)), contents);
  });

  test("the platform's own addresses, other hosts and other ports stay closed", async (t) => {
    const platformPort = new URL(platform.url).port;
    const { host, port } = await platform.superuser(database.addonId);
    assert.notEqual(host, undefined);
    const closed = [
      `127.0.0.1:${platformPort}`,
      "169.254.169.254:80",
      `localhost:${port}`,
      `0.0.0.0:${port}`,
      "127.0.0.1:22",
      "example.com:443",
      `127.0.0.1:${Number(port) + 1}`,
    ];
    for (const destination of closed) {
      const forward = await localForward(t, options, destination);
      await assert.rejects(run("psql", ["--no-psqlrc", "-c", "select 1", through(forward.port)], { timeout: 60_000 }));
    }
  });

  test("there is no shell, command, file transfer, agent or listening for the client", async () => {
    for (const args of [["id"], ["-T"], ["-tt"], ["-s", "sftp"], ["-A", "true"], ["-X", "true"]]) {
      const words = args.filter((word) => !word.startsWith("-"));
      const flags = args.filter((word) => word.startsWith("-"));
      const { exitCode, stderr } = await ssh(options, ...flags, "git@127.0.0.1", ...words);
      assert.equal(exitCode, 255, `${args.join(" ")}: ${stderr}`);
      assert.match(stderr, /request failed on channel 0|shell request failed/);
    }
    const reverse = ["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "git@127.0.0.1"];
    assert.match((await ssh(options, ...reverse)).stderr, /remote port forwarding failed/);
  });

  test("a key that nobody added, another user name and a password are refused", async () => {
    const stranger = await makeKeyPair(await makeTempFolder(cleanUps), "ed25519");
    const refused = await openSshOptions(platform, { identity: stranger.identity, folder });
    assert.match((await ssh(refused, "-N", "git@127.0.0.1")).stderr, /Permission denied \(publickey\)/);
    assert.match((await ssh(options, "-N", "root@127.0.0.1")).stderr, /Permission denied \(publickey\)/);
  });

  test("another user's database is not reachable, until that user may use it", async (t) => {
    const bob = { folder: await makeTempFolder(t), password: "a long password of bob's" };
    const argv = ["users-create", "bob", "--email", "bob@example.com", "--password-stdin"];
    await platform.runOk(argv, { input: `${bob.password}\n` });
    const asBob = { environment: { HOME: bob.folder, TIDEMARK_HOME: bob.folder, TIDEMARK_URL: platform.url } };
    const login = await platform.run(["login", "--username", "bob", "--password-stdin"], {
      ...asBob,
      input: `${bob.password}\n`,
    });
    assert.equal(login.exitCode, 0, login.stderr);
    const { identity, publicKey } = await makeKeyPair(bob.folder, "ed25519");
    await addKey("bobs", publicKey, "bob");
    const { port } = await localForward(t, await openSshOptions(platform, { identity, folder: bob.folder }), authority);
    const ask = () => run("psql", ["--no-psqlrc", "-Atc", "select 1", through(port)], { timeout: 60_000 });
    await assert.rejects(ask());
    await platform.runOk(["--app", "my-app", "collaborators-add", "bob@example.com"]);
    await waitFor(async () => await ask().then(() => true, () => false), "a tunnel of a collaborator");
  });

  test("each tunnel is on record, and a removed key ends what it had opened", async (t) => {
    const pair = await makeKeyPair(await makeTempFolder(t), "ed25519");
    await addKey("short-lived", pair.publicKey);
    const forward = await localForward(
      t,
      await openSshOptions(platform, { identity: pair.identity, folder }),
      authority,
    );
    const client = new Client({ connectionString: through(forward.port).replace("prefer", "disable") });
    client.on("error", () => undefined);
    await client.connect();
    const { body } = await platform.api("GET", "/v1/apps/my-app/events");
    const [newest] = pickList(body, "events");
    assert.equal(pickText(newest, "type"), "database_tunnel_opened");
    assert.equal(pickText(newest, "type_data", "key_name"), "short-lived");
    const ended = once(forward.child, "exit");
    await sql("delete from ssh_keys where name='short-lived'");
    await ended;
    await assert.rejects(client.query("select 1"));
  });

  /** The database's URI by the tunnel, as users write it. */
  function through(port: number, direct = database.uri): string {
    const uri = new URL(direct);
    uri.port = String(port);
    return uri.href;
  }

  async function sql(text: string, values: string[] = []) {
    const lines = (await (await import("node:fs/promises")).readFile(join(platform.home, "control/data/postmaster.pid"), "utf8")).split("\n");
    const client = new Client({ host: lines[4], port: Number(lines[3]), user: "tidemark", database: "tidemark" });
    await client.connect();
    await client.query(text, values);
    await client.end();
  }
  async function addKey(name: string, file: string, user = "owner") {
    const content = await (await import("node:fs/promises")).readFile(file, "utf8");
    const { sshFingerprint } = await import("../../src/core/ssh-fingerprint.ts");
    await sql("insert into ssh_keys(id,user_id,name,content,fingerprint) select $1, id, $2, $3, $4 from users where username=$5", [Math.random().toString(16), name, content, sshFingerprint(Buffer.from(content.split(" ")[1]!, "base64")), user]);
  }
});
