import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify, stripVTControlCharacters } from "node:util";
import { spawn } from "@lydell/node-pty";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { readContents } from "../harness/database-contents.ts";
import { findProcessesIn } from "../harness/leftover-processes.ts";
import { connectTo, startOneOff } from "../harness/one-off.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { type CommandResult, type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { sandboxObstacle } from "../harness/sandbox-obstacle.ts";
import { TOP } from "../harness/source-files.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const obstacle = sandboxObstacle();
/** As documented, to the letter. */
const DUMP = `pg_dump --clean --if-exists --format c --dbname "\${SCALINGO_POSTGRESQL_URL}" --no-owner --no-privileges --no-comments --exclude-schema 'information_schema' --exclude-schema '^pg_*' --file dump.pgsql`;
const RESTORE = `pg_restore --clean --if-exists --no-owner --no-privileges --no-comments --dbname "\${SCALINGO_POSTGRESQL_URL}" dump.pgsql`;
const TERMINAL_DEADLINE_MS = 60_000;
const UNREAD_BYTES = 8_000_000;

/** Files of the machine that no sandbox may read. */
const HOST_FILES = ["/etc/shadow", "/root/.bashrc", `/proc/${process.pid}/environ`, join(TOP, "README.md")];
/** Folders that a sandbox has, or may think it has, in which it may write nothing. */
const SANDBOX_FOLDERS = [
  ["/", "/usr", "/etc", "/opt/tidemark", "/opt/tidemark/src", "/run", "/run/tidemark"],
  ["/tmp/uploads", "/dev", "/var", "/proc/sys/kernel"],
].flat();

describe("one-off containers", { skip: obstacle }, () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let uri = "";
  let otherPort = 0;
  let neighbour: Server;

  before(async () => {
    platform = await startPlatform(cleanUps);
    ({ uri } = await platform.provision("shop"));
    otherPort = Number(new URL((await platform.provision("other")).uri).port);
    neighbour = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(neighbour, "listening");
    cleanUps.after(async () => void neighbour.close());
  });
  after(() => cleanUps.run());

  /** A command whose output is all that is printed; its input ends at once. */
  async function silently(...words: string[]): Promise<CommandResult> {
    return await platform.run(["--app", "shop", "run", "--silent", ...words]);
  }

  test("run gives a command the app's variables and its own, and ends with its exit code", async () => {
    const shown = await platform.run(
      ["--app", "shop", "run", "--env", "GREETING=hello you", 'echo "$GREETING from $APP in $CONTAINER"; exit 7'],
      {},
    );
    assert.equal(shown.exitCode, 7, shown.stderr);
    assert.match(shown.stdout, /^hello you from shop in one-off-\d+\r\n/m);
    assert.match(shown.stderr, /-----> Starting container one-off-\d+ {2}Done in \d+\.\d{3} seconds\n/);
    assert.match(shown.stderr, /-----> Connecting to container \[one-off-\d+\]\.\.\.\n-----> Process 'echo/);
  });

  test("the end of piped input is the end of the command's input", async () => {
    for (const [command, input, expected, exitCode] of [
      ["cat", "no line end", /no line end/, 0],
      ["bash", "echo $((40+2))\nexit 4\n", /^42\r$/m, 4],
      ["bash", "echo $((40+2))\n", /^42\r$/m, 0],
    ] as const) {
      const ended = await platform.run(["--app", "shop", "run", "--silent", command], { input });
      assert.equal(ended.exitCode, exitCode, `${command}: ${ended.stdout}${ended.stderr}`);
      assert.match(stripVTControlCharacters(ended.stdout), expected);
    }
  });

  test("the documented lines dump the database and bring it back", async () => {
    const tables = async (): Promise<unknown> =>
      (await readContents({ connectionString: uri.replace("prefer", "disable") })).tables;
    const client = new Client({ connectionString: uri.replace("prefer", "disable") });
    await client.connect();
    await client.query("create table goods as select n as id, 'good ' || n as name from generate_series(1, 1000) n");
    const original = await tables();
    const lost = await silently(
      `${DUMP} && psql "$DATABASE_URL" --command 'DROP TABLE goods' && ${RESTORE} && ls -l dump.pgsql`,
    );
    assert.equal(lost.exitCode, 0, lost.stdout);
    assert.match(lost.stdout, /DROP TABLE[^]*dump\.pgsql/);
    assert.deepEqual(await tables(), original);
    await client.end();
  });

  test("run --file brings files along, and pgsql-console opens psql", async (t) => {
    const folder = await makeTempFolder(t);
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 31) % 251));
    await writeFile(join(folder, "some file.bin"), bytes);
    await writeFile(join(folder, "empty"), "");
    const files = ["--file", join(folder, "some file.bin"), "--file", join(folder, "empty")];
    const sums = await silently(...files, "cd /tmp/uploads && sha256sum * && touch x");
    const { stdout: expected } = await run("sha256sum", ["empty", "some file.bin"], { cwd: folder });
    assert.equal(sums.stdout.replaceAll("\r", "").slice(0, expected.length), expected);
    assert.match(sums.stdout, /Read-only file system/);
    const console = await platform.run(["--app", "shop", "pgsql-console"], { input: "select 6*7 as answer;\n\\q\n" });
    assert.equal(console.exitCode, 0, console.stderr);
    assert.match(console.stdout, /---> Database CLI installed:\r\npsql \(PostgreSQL\) 1[^]*answer[^]*42/);
  });

  test("the platform's own command line works inside, after install-scalingo-cli", async () => {
    const token = await platform.ownerToken();
    const script =
      'install-scalingo-cli && scalingo login --api-token "$TOKEN" && tidemark --json addons && dbclient-fetcher && dbclient-fetcher pgsql 1';
    const inside = await silently("--env", `TOKEN=${token}`, script);
    assert.match(inside.stdout, /This is Tidemark's command line, which is compatible with Scalingo's/);
    assert.match(inside.stdout, /Hello owner, nice to see you!/);
    assert.match(inside.stdout, /"resource_id": "shop_\d+"/);
    assert.match(inside.stdout, /PostgreSQL 1 is not installed on this machine\.\r\nInstalled major versions/);
    assert.equal(inside.exitCode, 1);
  });

  test("nothing of the machine is in reach but the app's own databases and the API", async (t) => {
    const abstractName = `\0tidemark-test-${process.pid}`;
    const abstract = createServer((socket) => socket.destroy()).listen(abstractName);
    await once(abstract, "listening");
    t.after(() => abstract.close());
    const address = neighbour.address();
    const own = { host: "127.0.0.1", port: Number(new URL(uri).port) };
    const api = { host: "127.0.0.1", port: Number(new URL(platform.url).port) };
    const serverFolder = (await platform.superuser(await addonOf("shop"))).host ?? "";
    const closed = [
      { host: "127.0.0.1", port: otherPort },
      { host: "127.0.0.1", port: typeof address === "object" ? address?.port : 0 },
      { host: "192.0.2.1", port: 443 },
      { host: "::1", port: own.port },
      { path: abstractName },
      { path: `${serverFolder}/.s.PGSQL.${own.port}` },
      { path: `${serverFolder}/control/.s.PGSQL.5432` },
    ];
    const asked = {
      paths: [...HOST_FILES, `${platform.home}/keys/master.age-identity`, `${platform.home}/local.json`],
      folders: SANDBOX_FOLDERS,
      addresses: [own, api, ...closed],
      pids: [process.pid],
      names: ["example.com"],
    };
    const words = Buffer.from(JSON.stringify(asked)).toString("base64");
    const file = join(TOP, "test/fixtures/one-off-probe.mjs");
    const { stdout } = await silently(
      "--file",
      file,
      `/opt/tidemark/runtime/node /tmp/uploads/one-off-probe.mjs ${words}`,
    );
    const found: unknown = JSON.parse(/PROBE (.*) END/.exec(stdout)?.[1] ?? stdout);
    const opened = (noun: string): string[] =>
      Object.entries(Object(pick(found, noun))).flatMap(([what, outcome]) => (outcome === "open" ? [what] : []));
    assert.deepEqual(opened("read"), []);
    assert.deepEqual(opened("written"), []);
    assert.deepEqual(
      opened("reached"),
      [own, api].map((each) => JSON.stringify(each)),
    );
    assert.deepEqual(opened("killed"), []);
    assert.deepEqual(opened("resolved"), []);
    assert.deepEqual(new Set(pickList(found, "capabilities")), new Set(["0000000000000000"]));
    assert.equal(pick(found, "noNewPrivileges"), "1");
    assert.notEqual(pick(found, "namespaces"), 0);
    assert.notEqual(pick(found, "mounts"), 0);
    assert.ok(Number(pick(found, "processes")) < 10);
    const names = pickList(found, "environment").map(String);
    assert.deepEqual(
      names.filter((name) => /^(TIDEMARK_HOME|TIDEMARK_TEST|SSH|SUDO)/.test(name)),
      [],
    );
  });

  test("a fork bomb, a memory hog and a disk hog end in themselves", async () => {
    const bomb = await silently("bomb() { bomb | bomb & }; bomb; sleep 2; echo over");
    assert.ok([0, 137].includes(bomb.exitCode ?? -1), bomb.stdout);
    const node = "/opt/tidemark/runtime/node";
    const memory = await silently(
      "--size",
      "S",
      `${node} -e 'const kept = []; for (;;) kept.push(Buffer.alloc(1 << 24, 1))'`,
    );
    assert.notEqual(memory.exitCode, 0);
    const disk = await silently(
      "--size",
      "S",
      "head -c 300M /dev/zero > full; stat -c %s full; head -c 300M /dev/zero > /tmp/full",
    );
    assert.match(disk.stdout, /^268435456\r$/m);
    assert.notEqual(disk.exitCode, 0);
    assert.equal((await silently("echo fine")).stdout, "fine\r\n");
  });

  test("a shell has a real terminal: its size, Ctrl+C, Ctrl+D and exit code", async () => {
    const shell = spawn(process.execPath, [join(TOP, "src/main.ts"), "--app", "shop", "bash"], {
      cols: 100,
      rows: 30,
      cwd: TOP,
      env: { ...platform.environment, TERM: "xterm" },
    });
    let shown = "";
    shell.onData((text) => (shown += text));
    const ended = new Promise<number>((resolve) => shell.onExit(({ exitCode }) => resolve(exitCode)));
    const until = async (pattern: RegExp): Promise<void> => {
      await waitFor(async () => pattern.test(shown), `${pattern.source} in ${shown}`, TERMINAL_DEADLINE_MS);
      shown = "";
    };
    try {
      await until(/bash-[\d.]+\$ /);
      shell.write("stty size; tty\r");
      await until(/30 100\s+\/dev\/pts\/0/);
      shell.resize(120, 40);
      await waitFor(async () => {
        shell.write("stty size\r");
        return shown.includes("40 120");
      }, "the new size");
      shell.write("sleep 1000; echo interrupted with $?\r");
      await until(/sleep 1000/);
      await waitFor(async () => {
        shell.write("\u0003");
        return /interrupted with 130|\^C/.test(shown);
      }, "Ctrl+C");
      shell.write("\r(exit 9)\r");
      await until(/exit 9\)[^]*\$ $/);
      shell.write("\u0004");
      assert.equal(await ended, 9);
    } finally {
      shell.kill("SIGKILL");
    }
  });

  test("a client that reads slowly holds the command up and loses nothing", async () => {
    const bytes = 8_000_000;
    const oneOff = await startOneOff(platform, "shop", `stty raw; head -c ${bytes} /dev/zero`);
    const { socket } = await connectTo(oneOff, oneOff.authorization);
    let count = 0;
    socket.on("data", (chunk: Buffer) => {
      count += chunk.length;
      socket.pause();
      setImmediate(() => socket.resume());
    });
    await once(socket, "close");
    assert.equal(count, bytes);
    assert.deepEqual(await (await waitOf(oneOff)).json(), { exit_code: 0 });
  });

  test("what is answered to a start has all that the original's client takes for granted", async () => {
    const oneOff = await startOneOff(platform, "shop", "cat");
    const { operation } = oneOff;
    assert.match(pickText(oneOff.started, "container", "label"), /^one-off-\d+$/);
    assert.match(pickText(oneOff.started, "operation_url"), new RegExp(`/operations/${oneOff.id}$`));
    // It dials what stands between scheme and path, and appends to the path.
    assert.match(pickText(operation, "start_one_off_data", "attach_url"), /^https?:\/\/[^/:]+:\d+\/[^?#]+[^/?#]$/);
    assert.equal(pick(operation, "status"), "done");
    const createdAt = Date.parse(pickText(operation, "created_at"));
    assert.ok(Date.parse(pickText(operation, "finished_at")) >= createdAt, JSON.stringify(operation));
    const { body } = await platform.api("GET", "/v1/apps/shop/ps");
    const listed = pickList(body, "containers");
    assert.deepEqual(
      listed.map((each) => [pickText(each, "label"), Date.parse(pickText(each, "created_at"))]),
      [[oneOff.label, createdAt]],
    );
    const variables = await platform.api("GET", "/v1/apps/shop/variables?aliases=false");
    const values = pickList(variables.body, "variables").map((each) => pickText(each, "value"));
    const uris = values.filter((value) => value.startsWith("postgresql://"));
    assert.ok(uris.length > 0);
    for (const each of uris) assert.match(each, /@[^@/:]+:\d+\//);
    await platform.runOk(["--app", "shop", "one-off-stop", oneOff.label]);
    await waitFor(async () => (await runningLabels()).length === 0, "the end of the container");
  });

  test("a command that leaves its input unread ends the connection in order, with all of its output", async () => {
    const script = "stty raw -echo; printf first; head -c 1 > input; printf last; exit 3";
    const oneOff = await startOneOff(platform, "shop", script);
    const { socket } = await connectTo(oneOff, oneOff.authorization);
    let shown = "";
    let failure: Error | undefined;
    socket.on("data", (chunk: Buffer) => (shown += chunk.toString("latin1")));
    socket.on("error", (error) => (failure = error));
    // More than terminal and buffers hold: most of it has no reader when the command ends.
    socket.write(Buffer.alloc(UNREAD_BYTES, "x"));
    await once(socket, "close");
    assert.equal(failure, undefined);
    assert.equal(shown, "firstlast");
    assert.deepEqual(await (await waitOf(oneOff)).json(), { exit_code: 3 });
  });

  test("an attach address works once, and for whoever started the container", async () => {
    const input = "a password of bob's\n";
    await platform.runOk(["users-create", "bob", "--email", "bob@example.com", "--password-stdin"], { input });
    const login = await fetch(`${platform.url}/v1/tokens`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`bob:${input.trim()}`).toString("base64")}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ token: { name: "a login" } }),
    });
    const bob = await platform.exchange(pickText(await login.json(), "token", "token"));
    const oneOff = await startOneOff(platform, "shop", "cat");
    for (const authorization of ["", "Basic eDp5", `Basic ${Buffer.from(`:${bob}`).toString("base64")}`]) {
      const { status, socket } = await connectTo(oneOff, authorization);
      assert.ok([401, 404].includes(status), `${authorization.slice(0, 5)}: ${status}`);
      socket.destroy();
    }
    const taken = await connectTo(oneOff, oneOff.authorization);
    assert.equal(taken.status, 200);
    const again = await connectTo(oneOff, oneOff.authorization);
    assert.equal(again.status, 404);
    again.socket.destroy();
    // The client leaves without a word: its command ends.
    taken.socket.destroy();
    await waitFor(async () => (await runningLabels()).length === 0, "the end of the container");
    assert.equal(pick(await (await waitOf(oneOff)).json(), "exit_code"), 137);
  });

  test("ps shows what runs without passwords, one-off-stop ends it, and an app has five at most", async () => {
    const secret = "run --detached sleep 600 # postgresql://me:hidden@host/db";
    for (let index = 0; index < 5; index++) await platform.runOk(["--app", "shop", ...secret.split(" ")]);
    const sixth = await platform.run(["--app", "shop", "run", "true"]);
    assert.equal(sixth.exitCode, 1);
    assert.match(sixth.stderr, /5 one-off containers of the app "shop" run already/);
    const listed = await platform.runOk(["--app", "shop", "ps"]);
    assert.match(listed, /postgresql:\/\/me:\*\*\*@host/);
    assert.doesNotMatch(listed, /hidden/);
    for (const label of await runningLabels())
      await platform.runOk(["--app", "shop", "one-off-stop", label.replace(/\D+/, "")]);
    await waitFor(async () => (await runningLabels()).length === 0, "the end of all containers");
  });

  // The last one: it kills the platform.
  test("nothing of a container outlives its command, nor a platform that is killed", async () => {
    await silently("setsid sleep 54321 & disown; exec true");
    await platform.runOk(["--app", "shop", "run", "--detached", "sleep 54321"]);
    await waitFor(async () => (await sleepers()) === 1, "one sleeper");
    await platform.kill();
    await waitFor(async () => (await sleepers()) === 0, "the end of the sleeper");
    await waitFor(async () => (await findProcessesIn(join(platform.home, "one-offs"))).length === 0, "no sandbox");
    await platform.start();
    assert.deepEqual(await runningLabels(), []);
    assert.equal((await silently("echo back")).stdout, "back\r\n");
  });

  async function addonOf(app: string): Promise<string> {
    return pickText((await platform.api("GET", `/v1/apps/${app}/addons`)).body, "addons", 0, "id");
  }

  async function runningLabels(): Promise<string[]> {
    const { body } = await platform.api("GET", "/v1/apps/shop/ps");
    return pickList(body, "containers").map((each) => pickText(each, "label"));
  }

  async function waitOf({ attachUrl, authorization }: { attachUrl: URL; authorization: string }): Promise<Response> {
    return await fetch(`${attachUrl.href}/wait`, { headers: { authorization } });
  }
});

/** Processes on the whole machine that sleep for as long as only this file asks for. */
async function sleepers(): Promise<number> {
  const { stdout } = await run("ps", ["-eo", "args"]);
  return stdout.split("\n").filter((line) => line.trim() === "sleep 54321").length;
}
