import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { readContents } from "../harness/database-contents.ts";
import { localForward, makeKeyPair, openSshMissing, openSshOptions, ssh, startAgent } from "../harness/open-ssh.ts";
import { pickList, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { TOP } from "../harness/source-files.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
/** What an ordinary user makes: no object that only a superuser may read. */
const CONTENTS = `
  create type mood as enum ('calm', 'rough');
  create table tides (id serial primary key, at timestamptz not null, height numeric(6, 3), mood mood, note text unique);
  insert into tides (at, height, mood, note)
    select '2026-01-01'::timestamptz + n * interval '6 hours', sin(n) * 3, case n % 2 when 0 then 'calm' else 'rough' end::mood, 'Flut ' || n || ' 🌊'
    from generate_series(1, 20000) n;
  create index on tides (at);
  create materialized view high_tides as select * from tides where height > 2;
  select lo_from_bytea(0, decode(repeat('c0ffee', 50000), 'hex'));`;
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
      await platform.runOk(["keys-add", type.replace(":", "-"), pair.publicKey]);
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
    await run("psql", ["--no-psqlrc", "-qv", "ON_ERROR_STOP=1", "-c", CONTENTS, through(port)]);
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
    assert.equal((await platform.run(["keys-add", "bobs", publicKey], asBob)).exitCode, 0);
    const { port } = await localForward(t, await openSshOptions(platform, { identity, folder: bob.folder }), authority);
    const ask = () => run("psql", ["--no-psqlrc", "-Atc", "select 1", through(port)], { timeout: 60_000 });
    await assert.rejects(ask());
    await platform.runOk(["--app", "my-app", "collaborators-add", "bob@example.com"]);
    await waitFor(
      async () =>
        await ask().then(
          () => true,
          () => false,
        ),
      "a tunnel of a collaborator",
    );
  });

  test("each tunnel is on record, and a removed key ends what it had opened", async (t) => {
    const pair = await makeKeyPair(await makeTempFolder(t), "ed25519");
    await platform.runOk(["keys-add", "short-lived", pair.publicKey]);
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
    await platform.runOk(["keys-remove", "short-lived"]);
    await ended;
    await assert.rejects(client.query("select 1"));
  });

  test("db-tunnel prints the lines that users know, carries psql, and ends on Ctrl+C", async (t) => {
    const tunnel = await dbTunnel(t, ["--app", "my-app", "db-tunnel", "SCALINGO_POSTGRESQL_URL"]);
    const { stdout } = await run("psql", ["--no-psqlrc", "-Atc", "select 42", through(tunnel.port)]);
    assert.equal(stdout, "42\n");
    await waitFor(async () => tunnel.stdout().includes("End of connection"), "the end of the connection");
    assert.equal(await tunnel.interrupt(), 130);
    assert.equal(tunnel.stdout(), `127.0.0.1:${tunnel.port}\nConnect to ${authority} [1]\nEnd of connection [1]\n`);
    assert.equal(
      tunnel.stderr(),
      `Building tunnel to ${authority}\nYou can access your database on:\ninterrupt catched, aborting…\n`,
    );
  });

  test("db-tunnel takes a URI, the next free port, another address, and the agent's key", async (t) => {
    const work = await makeTempFolder(t);
    const agent = await startAgent(t, join(folder, "id_ecdsa_256"), join(work, "agent"));
    const first = await dbTunnel(t, ["db-tunnel", database.uri, "--port", "20017"]);
    const second = await dbTunnel(t, ["db-tunnel", database.uri, "--port", String(first.port)], {
      SSH_AUTH_SOCK: agent,
      HOME: work,
    });
    assert.ok(second.port > first.port);
    const elsewhere = await dbTunnel(t, ["db-tunnel", database.uri, "--bind", "127.0.0.2"]);
    await run("psql", ["--no-psqlrc", "-c", "select 1", through(second.port)]);
    await run("psql", ["--no-psqlrc", "-c", "select 1", through(elsewhere.port).replace("127.0.0.1", "127.0.0.2")]);
  });

  test("db-tunnel says what is wrong: no such variable, no key, a key that nobody knows", async (t) => {
    const work = await makeTempFolder(t);
    const fails = async (args: string[], environment = {}): Promise<string> => {
      const { exitCode, stderr } = await platform.run(args, { environment: { HOME: work, ...environment } });
      assert.notEqual(exitCode, 0);
      return stderr;
    };
    assert.match(await fails(["--app", "my-app", "db-tunnel", "NO_SUCH"]), /no such environment variable: NO_SUCH/);
    assert.match(await fails(["db-tunnel", database.uri]), /There is no SSH key/);
    assert.match(await fails(["db-tunnel", "postgresql://x/y"]), /not the URI of a database with host and port/);
    const { identity } = await makeKeyPair(work, "ed25519");
    assert.match(await fails(["db-tunnel", database.uri, "--identity", identity]), /knows none of your keys/);
  });

  test("login --ssh logs in by key", async (t) => {
    const home = await makeTempFolder(t);
    const environment = { HOME: home, TIDEMARK_HOME: home, TIDEMARK_URL: platform.url };
    const login = await platform.run(["login", "--ssh-identity", join(folder, "id_rsa_2048")], { environment });
    assert.deepEqual([login.exitCode, login.stdout], [0, "-----> Hello owner, nice to see you!\n"], login.stderr);
    assert.match((await platform.run(["whoami"], { environment })).stdout, /You are logged in as owner/);
  });

  test("the platform stops in time with tunnels in use", async (t) => {
    const { port } = await localForward(t, options, authority);
    const client = new Client({ connectionString: through(port).replace("prefer", "disable") });
    client.on("error", () => undefined);
    await client.connect();
    assert.equal(await platform.stop(), 0);
    await assert.rejects(client.query("select 1"));
  });

  /** Runs a tunnel of the command line with the first key, once it is open. It ends with the test. */
  async function dbTunnel(t: TestContext, args: readonly string[], environment: Record<string, string> = {}) {
    const identity = "SSH_AUTH_SOCK" in environment ? [] : ["--identity", join(folder, "id_ed25519")];
    const child = spawn(process.execPath, [join(TOP, "src/main.ts"), ...args, ...identity], {
      env: { ...platform.environment, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const closed = once(child, "close");
    const interrupt = async (): Promise<number | null> => {
      child.kill("SIGINT");
      await closed;
      return child.exitCode;
    };
    t.after(interrupt);
    await waitFor(async () => {
      if (child.exitCode !== null) throw new Error(`db-tunnel ended: ${stderr}`);
      return stdout.includes("\n");
    }, "db-tunnel that listens");
    return { port: Number(stdout.trim().split(":").at(-1)), stdout: () => stdout, stderr: () => stderr, interrupt };
  }

  /** The database's URI by the tunnel, as users write it. */
  function through(port: number, direct = database.uri): string {
    const uri = new URL(direct);
    uri.port = String(port);
    return uri.href;
  }
});
