import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runtimeFolder } from "../../src/instances/runtime-folder.ts";
import { markedBlocks } from "../harness/marked-blocks.ts";
import { readText, TOP } from "../harness/source-files.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

/** A first start makes two servers and a backup: seconds on an idle machine. */
const READY_DEADLINE_MS = 180_000;
const READY_POLL_INTERVAL_MS = 250;
/** The platform promises 15 s; a loaded machine gets twice that. */
const STOP_DEADLINE_MS = 30_000;
/** Ports that the platform may give to the sample's and the tutorial's databases. */
const DATABASE_PORT_COUNT = 50;

describe("the pages that a newcomer follows", () => {
  let environment: NodeJS.ProcessEnv = {};
  let clone = "";
  let platform: ReturnType<typeof spawn> | undefined;
  const cleanUps: (() => Promise<void>)[] = [];

  before(async () => {
    const folder = await makeTempFolder({ after: (clean) => cleanUps.push(clean) });
    clone = await makeClone(join(folder, "tidemark"));
    environment = await newcomerEnvironment(folder);
    cleanUps.push(() => removeSockets(join(folder, "home")));
    platform = spawn(process.execPath, ["src/main.ts", "serve"], {
      cwd: clone,
      env: environment,
      stdio: ["ignore", "ignore", "inherit"],
    });
    await waitUntilReady(`http://127.0.0.1:${environment.TIDEMARK_HTTP_PORT}/healthz`, platform);
  });

  after(async () => {
    try {
      if (platform !== undefined) await stopPlatform(platform);
    } finally {
      for (const clean of cleanUps) await clean();
    }
  });

  // First, while the sample's database is the only one.
  test("the marked commands of docs/operating/escape-hatch.md open a backup without us", async (t) => {
    const tools = await runShell("command -v age zstd", { folder: clone, environment, signal: t.signal });
    if (tools.exitCode !== 0) return t.skip("age or zstd is not installed");
    const folder = await makeTempFolder(t);
    const { TIDEMARK_HOME: home = "" } = environment;
    const { exitCode, output } = await runShell(markedBlocks(readText("docs/operating/escape-hatch.md")).join("\n"), {
      folder,
      environment: { ...environment, ...(await escapeHatchVariables(home)) },
      signal: t.signal,
    });
    assert.equal(exitCode, 0, output);
    assert.match(output, /These are the bytes that were backed up/);
    assert.match(output, /TABLE DATA public order_lines/);
  });

  const pages = [
    { page: "README.md", shows: /count\s*\n-+\n\s+[1-9]\d*\n\(1 row\)\s*$/ },
    { page: "docs/start.md", shows: /count\s*\n-+\n\s+1000\n\(1 row\)\s*$/ },
  ];
  for (const { page, shows } of pages)
    test(`the marked commands of ${page} work, and the data is back at their end`, async (t) => {
      const blocks = markedBlocks(readText(page));
      assert.ok(blocks.length > 0, "the page marks no block");
      const { exitCode, output } = await runShell(blocks.join("\n"), { folder: clone, environment, signal: t.signal });
      assert.equal(exitCode, 0, output);
      assert.match(output, shows);
    });
});

/** Paths of the repository, the master key and the sample's database, as the page wants them. */
async function escapeHatchVariables(home: string): Promise<NodeJS.ProcessEnv> {
  const repository = join(home, "repository");
  const [keyFile = ""] = (await readdir(join(repository, "keys"))).toSorted();
  return {
    REPOSITORY: repository,
    MASTER_KEY: join(home, "keys/master.age-identity"),
    DATABASE: keyFile.replace(/\.age$/, ""),
  };
}

/** A folder that looks like a clone of the project after `npm ci`, and may be written into. */
async function makeClone(folder: string): Promise<string> {
  await mkdir(folder);
  // npx sets the mode of the command that it runs, so that one has to be the caller's own, as in a real clone.
  await cp(join(TOP, "bin"), join(folder, "bin"), { recursive: true });
  for (const name of ["package.json", "node_modules", "src"]) await symlink(join(TOP, name), join(folder, name));
  return folder;
}

/** The environment of somebody who has never used Tidemark, with ports that are free. */
async function newcomerEnvironment(folder: string): Promise<NodeJS.ProcessEnv> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(TIDEMARK|SCALINGO|PG|NODE_TEST|npm_)/.test(name),
  );
  const home = join(folder, "user");
  await mkdir(home);
  const databasePort = await findFreePort();
  return {
    ...Object.fromEntries(inherited),
    HOME: home,
    PATH: [join(TOP, "node_modules/.bin"), process.env.PATH].join(delimiter),
    TIDEMARK_HOME: join(folder, "home"),
    TIDEMARK_HTTP_PORT: String(await findFreePort()),
    TIDEMARK_SSH_PORT: String(await findFreePort()),
    TIDEMARK_DATABASE_PORTS: `${databasePort}-${Math.min(databasePort + DATABASE_PORT_COUNT, 65_535)}`,
  };
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  assert.ok(address !== null && typeof address !== "string");
  return address.port;
}

async function waitUntilReady(url: string, platform: ReturnType<typeof spawn>): Promise<void> {
  const deadlineMs = performance.now() + READY_DEADLINE_MS;
  let last = "no answer";
  while (performance.now() < deadlineMs) {
    assert.equal(platform.exitCode, null, "the platform ended while it was starting");
    last = await fetch(url).then(
      (response) => response.text(),
      (error: unknown) => String(error),
    );
    if (/"status":\s*"ready"/.test(last)) return;
    await delay(READY_POLL_INTERVAL_MS);
  }
  throw new Error(`The platform was not ready after ${READY_DEADLINE_MS / 1000} s: ${last}`);
}

/** The sockets of a home lie outside it, so they don't go with the test's folder. */
async function removeSockets(home: string): Promise<void> {
  const { uid } = userInfo();
  const { XDG_RUNTIME_DIR: xdgRuntimeFolder = "" } = process.env;
  const folder = runtimeFolder({ home, uid, ...(xdgRuntimeFolder === "" ? {} : { xdgRuntimeFolder }) });
  await rm(folder, { recursive: true, force: true });
}

async function stopPlatform(platform: ReturnType<typeof spawn>): Promise<void> {
  assert.equal(platform.exitCode, null, "the platform ended by itself");
  const ended = once(platform, "exit", { signal: AbortSignal.timeout(STOP_DEADLINE_MS) });
  platform.kill("SIGTERM");
  const [exitCode]: unknown[] = await ended;
  assert.equal(exitCode, 0, "the platform's exit code after SIGTERM");
}

async function runShell(
  script: string,
  { folder, environment, signal }: { folder: string; environment: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<{ exitCode: number | null; output: string }> {
  const shell = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: folder,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  let output = "";
  shell.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  shell.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  await once(shell, "close");
  return { exitCode: shell.exitCode, output };
}
