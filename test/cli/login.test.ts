import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { resolveLogin } from "../../src/cli/login.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { readSettings } from "../../src/cli/settings.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { ALICE, inMemoryServices } from "../http/in-memory-services.ts";
import { openFace } from "../http/open-face.ts";
import { runCli } from "./run-cli.ts";

const removedTokens: string[] = [];
const services = inMemoryServices();
const face = await openFace(
  { after },
  {
    services: {
      ...services,
      identity: {
        ...services.identity,
        removeToken: (_principal, tokenId) => {
          removedTokens.push(tokenId);
          return Promise.resolve();
        },
      },
    },
  },
);

async function makeHome(
  t: TestContext,
): Promise<{ environment: Record<string, string>; loginFile: string; home: string }> {
  const home = await makeTempFolder(t);
  const environment = { XDG_CONFIG_HOME: join(home, "config"), TIDEMARK_HOME: join(home, "platform") };
  return { environment, loginFile: join(home, "config/tidemark/auth.json"), home };
}

async function writePrivate(path: string, content: unknown): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
  await writeFile(path, JSON.stringify(content), { mode: 0o600 });
}

test("login --password-stdin makes a token, saves it for this user only, and the next command uses it", async (t) => {
  const { environment, loginFile } = await makeHome(t);
  const argv = ["login", "--url", face.url, "--username", "alice", "--password-stdin"];
  const run = await runCli(argv, { environment, stdin: `${ALICE.password}\n` });
  assert.deepEqual(run, { exitCode: 0, stdout: "-----> Hello alice, nice to see you!\n", stderr: "" });
  assert.equal((await stat(loginFile)).mode & 0o777, 0o600);
  assert.equal((await stat(join(loginFile, ".."))).mode & 0o777, 0o700);
  assert.doesNotMatch(await readFile(loginFile, "utf8"), new RegExp(ALICE.password));
  assert.equal((await runCli(["whoami"], { environment })).exitCode, 0);
});

test("login --api-token keeps the token that was brought; logout forgets it and leaves it valid", async (t) => {
  const { environment } = await makeHome(t);
  const argv = ["login", "--url", face.url, "--api-token", ALICE.apiToken];
  assert.equal((await runCli(argv, { environment })).stdout, "-----> Hello alice, nice to see you!\n");
  removedTokens.splice(0);
  const first = await runCli(["logout"], { environment });
  assert.deepEqual(first, { exitCode: 0, stdout: "-----> Tidemark credentials have been deleted.\n", stderr: "" });
  assert.deepEqual(removedTokens, []);
  const second = await runCli(["logout", "--url", face.url], { environment });
  assert.equal(second.exitCode, 1);
  assert.match(second.stderr, /No login to http:\/\/127\.0\.0\.1:\d+ is saved/);
});

test("logout removes the token that login made, and forgets it even when the platform is gone", async (t) => {
  const { environment } = await makeHome(t);
  const argv = ["login", "--url", face.url, "--username", "alice", "--password-stdin"];
  await runCli(argv, { environment, stdin: ALICE.password });
  removedTokens.splice(0);
  assert.equal((await runCli(["logout"], { environment })).exitCode, 0);
  assert.deepEqual(removedTokens, ["t2"]);

  const leaving = await openFace(t);
  await runCli(argv.with(2, leaving.url), { environment, stdin: ALICE.password });
  await leaving.server.close();
  const run = await runCli(["logout"], { environment });
  assert.equal(run.exitCode, 0);
  assert.match(run.stdout, /The token t2 stays valid on the platform: Cannot reach/);
  assert.equal((await runCli(["whoami"], { environment })).exitCode, 1);
});

test("login refuses a wrong password without a second try from a pipe, and asks no pipe", async (t) => {
  const { environment, loginFile } = await makeHome(t);
  const argv = ["login", "--url", face.url, "--username", "alice"];
  const wrong = await runCli([...argv, "--password-stdin"], { environment, stdin: "wrong\n" });
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.stderr, /^ !     /);
  await assert.rejects(stat(loginFile), { code: "ENOENT" });
  const piped = await runCli(argv, { environment, stdin: `${ALICE.password}\n` });
  assert.equal(piped.exitCode, 2);
  assert.match(piped.stderr, /Cannot ask "Password": standard input is no terminal\n {7}Pass --password-stdin/);
});

test("login asks at a terminal and takes three passwords", async (t) => {
  const { environment } = await makeHome(t);
  const argv = ["login", "--url", face.url];
  const typed = `alice\nwrong\rxyz\u007F\u007F\u007F\u0015${ALICE.password}\r`;
  const run = await runCli(argv, { environment, stdin: typed, terminal: true });
  assert.equal(run.exitCode, 0, run.stderr);
  assert.match(run.stderr, /Username or email: Password: \n[^]*Password: \n$/);
  assert.doesNotMatch(run.stderr, /correct:horse/);
  const hopeless = await runCli(argv, { environment, stdin: "alice\na\rb\rc\r", terminal: true });
  assert.equal(hopeless.exitCode, 1);
});

test("resolveLogin() prefers flags, then Tidemark's variables, then the other client's, then files", async (t) => {
  const { environment, loginFile } = await makeHome(t);
  const url = "http://127.0.0.1:9000";
  const resolve = (more: Record<string, string>, flags: { url?: string; token?: string } = {}) =>
    resolveLogin(
      { url: flags.url, token: flags.token },
      readSettings({ ...environment, ...more }, { userHome: "/nonexistent", defaultHome: "/nonexistent" }),
    );
  await assert.rejects(resolve({}), { code: "unauthenticated", message: /http:\/\/127\.0\.0\.1:8420/ });
  await writePrivate(join(environment["TIDEMARK_HOME"] ?? "", "local.json"), { url, token: "local" });
  assert.equal((await resolve({})).token, "local");
  assert.equal((await resolve({ TIDEMARK_URL: `${url}/` })).token, "local", "the same address by hand");
  await assert.rejects(resolve({ TIDEMARK_URL: "http://127.0.0.1:9001" }), { code: "unauthenticated" });

  const logins = { [url]: { token: "saved", username: "a" }, "https://b.example:443": { token: "b", username: "b" } };
  await writePrivate(loginFile, { version: 1, current: url, logins });
  assert.equal((await resolve({})).token, "saved");
  assert.equal((await resolve({ TIDEMARK_URL: "https://b.example" })).token, "b", "the port is implied");

  const scalingo = { SCALINGO_AUTH_URL: url, SCALINGO_API_TOKEN: "scalingo" };
  assert.equal((await resolve(scalingo)).token, "scalingo");
  assert.equal((await resolve({ SCALINGO_API_TOKEN: "scalingo" })).token, "saved", "its token needs its address");
  assert.equal((await resolve({ ...scalingo, TIDEMARK_URL: "https://b.example" })).token, "b");
  assert.equal((await resolve({ ...scalingo, TIDEMARK_TOKEN: "variable" })).token, "variable");
  const flagged = await resolve({ ...scalingo, TIDEMARK_TOKEN: "variable" }, { url: "http://h:1", token: "flag" });
  assert.deepEqual(flagged, { url: "http://h:1", token: "flag", source: "--token" });
});

test("a login file that others can read is refused with the line that closes it", async (t) => {
  const { environment, loginFile } = await makeHome(t);
  await writePrivate(loginFile, { version: 1, current: null, logins: {} });
  await chmod(loginFile, 0o644);
  const run = await runCli(["whoami"], { environment });
  assert.equal(run.exitCode, 2);
  assert.ok(run.stderr.endsWith(`       Close it with: chmod 600 ${loginFile}\n`), run.stderr);
});

test("a damaged login file and an address that is none are refused clearly", async (t) => {
  const { environment, loginFile } = await makeHome(t);
  await writePrivate(loginFile, { version: 99 });
  assert.match((await runCli(["whoami"], { environment })).stderr, /its shape is not known/);
  await writeFile(loginFile, "{");
  assert.match((await runCli(["whoami"], { environment })).stderr, /it is damaged/);
  for (const url of ["nonsense", "ftp://host", "http://user:secret@host"]) {
    const run = await runCli(["whoami", "--url", url], { environment });
    assert.equal(run.exitCode, 2);
    assert.match(run.stderr, /is not the address of a platform/);
  }
});

test("an address that is another program's is told from a platform", async (t) => {
  const server = createServer((_request, response) => response.end("<html>hello</html>"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const run = await runCli(["whoami", "--url", `http://127.0.0.1:${address.port}`, "--token", "x"]);
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /Cannot understand the answer of .*: status 200, not JSON\n {7}Check that the address/);
});

test("login asks for the one-time password when the platform wants it, or takes it from --otp", async (t) => {
  const { environment } = await makeHome(t);
  const asked: (string | undefined)[] = [];
  const careful = await openFace(t, {
    services: {
      ...services,
      identity: {
        ...services.identity,
        authenticatePassword(input) {
          asked.push(input.oneTimePassword);
          if (input.oneTimePassword === undefined) throw new TidemarkError("second_factor_required", "OTP Required");
          if (input.oneTimePassword !== "123 456")
            throw new TidemarkError("unauthenticated", "Wrong one-time password");
          return services.identity.authenticatePassword(input);
        },
      },
    },
  });
  const argv = ["login", "--url", careful.url, "--username", "alice"];
  const typed = await runCli(argv, { environment, terminal: true, stdin: `${ALICE.password}\n123 456\n` });
  assert.match(typed.stdout, /Hello alice, nice to see you!/);
  assert.match(typed.stderr, /OTP: /);
  const piped = [...argv, "--password-stdin"];
  const given = await runCli([...piped, "--otp", "123 456"], { environment, stdin: `${ALICE.password}\n` });
  assert.deepEqual([given.exitCode, given.stderr], [0, ""]);
  assert.deepEqual(asked, [undefined, "123 456", "123 456"]);
  const wrong = await runCli([...piped, "--otp", "1"], { environment, stdin: `${ALICE.password}\n` });
  assert.deepEqual([wrong.exitCode, wrong.stderr], [1, " !     Wrong one-time password\n"]);
  const silent = await runCli(piped, { environment, stdin: `${ALICE.password}\n` });
  assert.equal(silent.exitCode, 2);
  assert.match(silent.stderr, /Cannot ask "OTP"[^]*--otp/);
});
