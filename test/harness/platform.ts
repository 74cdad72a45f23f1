import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { chown, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ClientConfig } from "pg";
import { runtimeFolder } from "../../src/instances/runtime-folder.ts";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

const TOP = resolve(import.meta.dirname, "../..");
const MAIN = join(TOP, "src/main.ts");
/** A first start makes two servers: seconds on an idle machine. */
const READY_DEADLINE_MS = 180_000;
/** The platform promises 15 s; a loaded machine gets twice that. */
const STOP_DEADLINE_MS = 30_000;
const POLL_INTERVAL_MS = 100;
const DATABASE_PORT_COUNT = 40;

export interface PlatformOptions {
  /** Make the sample; default false. */
  readonly sample?: boolean;
  /** More variables for `serve`. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A home that exists; default a new one. */
  readonly home?: string;
  /** Run the program and its commands as this user; for tests that root runs. */
  readonly runAs?: { readonly uid: number; readonly gid: number };
}

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiReply {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON; null for an empty body. */
  readonly body: unknown;
}

/** The real program, run as `tidemark serve` on a home, ports and a database of its own. */
export class Platform {
  readonly home: string;
  readonly url: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #identity: { readonly uid?: number; readonly gid?: number };
  #process: ChildProcess | undefined;

  constructor(input: {
    folder: string;
    home: string;
    url: string;
    environment: NodeJS.ProcessEnv;
    identity: { readonly uid?: number; readonly gid?: number };
  }) {
    this.#folder = input.folder;
    this.#identity = input.identity;
    this.home = input.home;
    this.url = input.url;
    this.environment = input.environment;
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    const child = this.launch();
    await waitFor(
      async () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`The platform ended: ${await this.output()}`);
        return (await this.state()) === "ready";
      },
      `ready at ${this.url}`,
      READY_DEADLINE_MS,
    );
  }

  /** Starts it without waiting; for starts that fail or are interrupted. */
  launch(): ChildProcess {
    const output = createWriteStream(join(this.#folder, "serve.out"), { flags: "a" });
    const child = spawn(process.execPath, [MAIN, "serve"], {
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"],
      ...this.#identity,
    });
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    this.#process = child;
    return child;
  }

  /** What `/healthz` says; undefined while nobody answers. */
  async state(): Promise<string | undefined> {
    try {
      const reply = await this.api("GET", "/healthz", { token: null });
      return isRecord(reply.body) ? String(reply.body["status"]) : undefined;
    } catch {
      return undefined;
    }
  }

  /** SIGTERM, and its exit code. Nothing happens when it doesn't run. */
  async stop(): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = once(child, "exit", { signal: AbortSignal.timeout(STOP_DEADLINE_MS) });
    child.kill("SIGTERM");
    await ended;
    return child.exitCode;
  }

  /** kill -9 of the platform's own process; its worker and its servers are left to themselves. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** Process id of the worker that runs now. */
  async workerPid(): Promise<number> {
    const parent = this.#process?.pid;
    let found: number | undefined;
    await waitFor(async () => {
      const processes = await childProcesses(parent ?? 0);
      found = processes.find(({ command }) => command.includes("worker"))?.pid;
      return found !== undefined;
    }, "a worker process");
    return found ?? 0;
  }

  /** Everything it has printed. */
  async output(): Promise<string> {
    return await readFile(join(this.#folder, "serve.out"), "utf8").catch(() => "");
  }

  /** Runs `tidemark` with this platform's own login, in a folder of the test's own. */
  async run(
    args: readonly string[],
    { folder, input, environment }: { folder?: string; input?: string; environment?: Record<string, string> } = {},
  ): Promise<CommandResult> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: folder ?? this.#folder,
      env: { ...this.environment, ...environment },
      stdio: ["pipe", "pipe", "pipe"],
      ...this.#identity,
    });
    child.stdin.end(input ?? "");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { exitCode: child.exitCode, stdout, stderr };
  }

  /** `run()` that must succeed; its standard output. */
  async runOk(args: readonly string[], options: { folder?: string; input?: string } = {}): Promise<string> {
    const result = await this.run(args, options);
    if (result.exitCode === 0) return result.stdout;
    throw new Error(`tidemark ${args.join(" ")} exited with ${result.exitCode}: ${result.stderr}${result.stdout}`);
  }

  /** One request. `token` is a JWT or an addon token; the platform owner's JWT by default, none when null. */
  async api(
    method: string,
    path: string,
    { body, token }: { body?: unknown; token?: string | null } = {},
  ): Promise<ApiReply> {
    const bearer = token === undefined ? await this.ownerJwt() : token;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        accept: "application/json",
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    return { status: response.status, headers: response.headers, body: answer === "" ? null : JSON.parse(answer) };
  }

  /** The API token in `local.json`. */
  async ownerToken(): Promise<string> {
    const login: unknown = JSON.parse(await readFile(join(this.home, "local.json"), "utf8"));
    return isRecord(login) ? String(login["token"]) : "";
  }

  async ownerJwt(): Promise<string> {
    return await this.exchange(await this.ownerToken());
  }

  /** An API token's JWT. */
  async exchange(apiToken: string): Promise<string> {
    const response = await fetch(`${this.url}/v1/tokens/exchange`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`:${apiToken}`).toString("base64")}`,
        "content-type": "application/json",
      },
      body: "{}",
    });
    const reply: unknown = await response.json();
    if (!isRecord(reply) || typeof reply["token"] !== "string") throw new Error(`No token: ${JSON.stringify(reply)}`);
    return reply["token"];
  }

  /** Makes an app with one database and waits until it runs. */
  async provision(app: string): Promise<{ addonId: string; resourceId: string; uri: string }> {
    await this.runOk(["create", app]);
    await this.runOk(["--app", app, "addons-add", "postgresql", "postgresql-starter-512", "--wait"]);
    const reply = await this.api("GET", `/v1/apps/${app}/addons`);
    const addons = isRecord(reply.body) && Array.isArray(reply.body["addons"]) ? reply.body["addons"] : [];
    const [addon]: unknown[] = addons;
    if (!isRecord(addon)) throw new Error(`No addon: ${JSON.stringify(reply.body)}`);
    const uri = (await this.runOk(["--app", app, "env-get", "SCALINGO_POSTGRESQL_URL"])).trim();
    return { addonId: String(addon["id"]), resourceId: String(addon["resource_id"]), uri };
  }

  /** Process id of the postmaster of an addon's server. */
  async serverPid(addonId: string): Promise<number> {
    return Number((await this.#postmasterLines(addonId))[0]);
  }

  /** For `pg`: an addon's server as its superuser, over the socket that only this platform's user may use. */
  async superuser(addonId: string, database = "postgres"): Promise<ClientConfig> {
    const [, , , port, socketFolder = ""] = await this.#postmasterLines(addonId);
    return { host: socketFolder, port: Number(port), user: "tidemark", database };
  }

  async #postmasterLines(addonId: string): Promise<string[]> {
    return (await readFile(join(this.home, "databases", addonId, "current", "postmaster.pid"), "utf8")).split("\n");
  }
}

/** Makes a platform in a temp folder, starts it, waits until it is ready; stopped and removed at the end of the test. */
export async function startPlatform(cleanUp: CleanUp, options: PlatformOptions = {}): Promise<Platform> {
  const platform = await preparePlatform(cleanUp, options);
  await platform.start();
  return platform;
}

/** The same without starting it. */
export async function preparePlatform(cleanUp: CleanUp, options: PlatformOptions = {}): Promise<Platform> {
  const removals: (() => Promise<void>)[] = [];
  const folder = await makeTempFolder({ after: (clean) => removals.push(clean) });
  const home = options.home ?? join(folder, "home");
  const httpPort = await freePorts(2);
  const databasePort = await freePorts(DATABASE_PORT_COUNT);
  await mkdir(join(folder, "user"), { recursive: true });
  const { runAs } = options;
  if (runAs !== undefined) for (const each of [folder, join(folder, "user")]) await chown(each, runAs.uid, runAs.gid);
  const { TIDEMARK_TEST_TEMP: tempRoot, PATH: path } = process.env;
  const platform = new Platform({
    folder,
    home,
    url: `http://127.0.0.1:${httpPort}`,
    identity: runAs ?? {},
    environment: {
      PATH: path,
      HOME: join(folder, "user"),
      ...(tempRoot === undefined ? {} : { TIDEMARK_TEST_TEMP: tempRoot }),
      TIDEMARK_HOME: home,
      TIDEMARK_HTTP_PORT: String(httpPort),
      TIDEMARK_SSH_PORT: String(httpPort + 1),
      TIDEMARK_DATABASE_PORTS: `${databasePort}-${databasePort + DATABASE_PORT_COUNT - 1}`,
      TIDEMARK_SAMPLE: options.sample === true ? "1" : "0",
      ...options.environment,
    },
  });
  // One clean-up for all, so that the program and its servers end before their files go, whatever the order in which clean-ups run.
  cleanUp.after(async () => {
    await platform.stop();
    await endServers(home);
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
    // Kept by the platform for its next start, of which there is none.
    await rm(runtimeFolder({ home, uid: runAs?.uid ?? process.getuid?.() ?? 0 }), { recursive: true, force: true });
    for (const remove of removals) await remove();
  });
  return platform;
}

/** Waits for a condition; throws what it throws, and after the deadline says what was waited for. */
export async function waitFor(condition: () => Promise<boolean>, what: string, deadlineMs = 60_000): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Not in ${deadlineMs / 1000} s: ${what}`);
    await delay(POLL_INTERVAL_MS);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Processes whose parent is this one. */
export async function childProcesses(parent: number): Promise<{ pid: number; command: string }[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      try {
        const status = await readFile(`/proc/${pid}/status`, "utf8");
        if (!status.includes(`\nPPid:\t${parent}\n`)) return undefined;
        return { pid: Number(pid), command: (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ") };
      } catch {
        return undefined;
      }
    }),
  );
  return found.filter((each) => each !== undefined);
}

/** Servers that a killed platform left behind. */
async function endServers(home: string): Promise<void> {
  const databases = await readdir(join(home, "databases")).catch(() => []);
  const folders = [join(home, "control", "data")];
  // A restore makes more data folders beside a database's own.
  for (const name of databases)
    for (const entry of await readdir(join(home, "databases", name)))
      if (entry.startsWith("data")) folders.push(join(home, "databases", name, entry));
  for (const folder of folders) {
    const [line = ""] = (await readFile(join(folder, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
    if (line === "") continue;
    try {
      process.kill(Number(line), "SIGQUIT");
      await waitFor(async () => !(await isAlive(Number(line))), "the end of a server", STOP_DEADLINE_MS);
    } catch {
      // It ended by itself.
    }
  }
}

async function isAlive(pid: number): Promise<boolean> {
  return await readFile(`/proc/${pid}/stat`, "utf8").then(
    (stat) => !stat.includes(") Z "),
    () => false,
  );
}

/** The first of so many ports in a row that are free now. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const servers = await Promise.all(Array.from({ length: count }, (_, index) => listenOn(first + index)));
    await Promise.all(servers.map(async (server) => server && (await promisify(server.close.bind(server))())));
    if (servers.every((server) => server !== undefined)) return first;
  }
}

async function listenOn(port: number) {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  } catch {
    return undefined;
  }
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) all += String(chunk);
  return all;
}
