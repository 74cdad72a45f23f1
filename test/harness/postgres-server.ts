import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client, type ClientConfig, type QueryResultRow } from "pg";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

const run = promisify(execFile);

const BIN_FOLDER = "/usr/lib/postgresql/15/bin";
const START_DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 30;
/** pg_dump and pgbench write little; a restored cluster's log may be long. */
const OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024;

const HOST_BASED_AUTHENTICATION = `local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
`;

export interface PostgresServerOptions {
  /** Lines of postgresql.conf, added to the harness's own. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly segmentSizeMb?: number;
  readonly checksums?: boolean;
  /** Also listen on TCP, 127.0.0.1, with SCRAM. */
  readonly tcp?: boolean;
  /** Take this folder, which holds a cluster already, instead of making one. */
  readonly dataFolder?: string;
}

export type StopMode = "fast" | "immediate";

/**
 * A real PostgreSQL 15 in a temp folder, on a Unix socket, with one superuser `postgres` whom the socket trusts. Run by root, the server runs as the
 * system user `tidemark`. Stopped and removed when the test ends.
 */
export class PostgresServer {
  readonly folder: string;
  readonly dataFolder: string;
  readonly port: number;
  readonly #arguments: readonly string[];
  #child: ChildProcess | undefined;

  constructor(folder: string, dataFolder: string, port: number, postgresArguments: readonly string[]) {
    this.folder = folder;
    this.dataFolder = dataFolder;
    this.port = port;
    this.#arguments = postgresArguments;
  }

  /** For `pg`; over the socket. */
  client(overrides: ClientConfig = {}): ClientConfig {
    return { host: this.folder, port: this.port, user: "postgres", database: "postgres", ...overrides };
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Starts and waits until it takes connections (or is ready for read-only ones). */
  async start(extra: readonly string[] = []): Promise<void> {
    const log = await open(join(this.folder, "server.log"), "a");
    const child = spawn(program("postgres"), ["-D", this.dataFolder, ...this.#arguments, ...extra], {
      stdio: ["ignore", log.fd, log.fd],
      ...(await serverUser()),
    });
    await log.close();
    this.#child = child;
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#waitUntilReady(child);
  }

  /** Starts a stopped server through archive recovery without an archive, which ends on the next timeline. */
  async promoteToNewTimeline(): Promise<void> {
    await writeFile(join(this.dataFolder, "recovery.signal"), "");
    await this.start(["-c", "restore_command=false"]);
    await this.waitUntil("select not pg_is_in_recovery()");
  }

  /** A copy of the data folder of a stopped server, as a disk snapshot would keep it. @returns its path */
  async takeSnapshot(): Promise<string> {
    const snapshot = join(this.folder, "snapshot");
    await run("cp", ["-a", this.dataFolder, snapshot], await serverUser());
    return snapshot;
  }

  /** Puts a stopped server back to a snapshot. */
  async putBack(snapshot: string): Promise<void> {
    await rm(this.dataFolder, { recursive: true });
    await run("cp", ["-a", snapshot, this.dataFolder], await serverUser());
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    await this.#end(mode === "fast" ? "SIGINT" : "SIGQUIT");
  }

  /** kill -9 of the postmaster; its children notice and end. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Sends a signal without waiting for what it does; resolves with the exit when it comes. */
  signal(name: NodeJS.Signals): Promise<unknown> {
    const child = this.#child;
    if (child === undefined) return Promise.resolve();
    const exit = once(child, "exit");
    child.kill(name);
    return exit;
  }

  /** Runs one statement in a connection of its own. */
  async query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values: unknown[] = [],
    overrides: ClientConfig = {},
  ): Promise<Row[]> {
    const client = new Client(this.client(overrides));
    await client.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** One value of one row, as text. */
  async value(text: string, values: unknown[] = []): Promise<string> {
    const rows = await this.query(text, values);
    return String(Object.values(rows[0] ?? {})[0]);
  }

  /** Waits until a query that answers one boolean answers true. */
  async waitUntil(text: string, values: unknown[] = []): Promise<void> {
    const deadline = Date.now() + START_DEADLINE_MS;
    while ((await this.value(text, values)) !== "true") {
      if (Date.now() > deadline) throw new Error(`Still not true: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }

  log(): Promise<string> {
    return readFile(join(this.folder, "server.log"), "utf8");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    await this.signal(signal);
  }

  async #waitUntilReady(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + START_DEADLINE_MS;
    for (;;) {
      try {
        await this.query("select 1");
        return;
      } catch (error) {
        if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline)
          throw new Error(`PostgreSQL did not start: ${(await this.log()).slice(-2000)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }
}

/** Makes, starts and (at the test's end) removes a server. */
export async function startPostgresServer(
  cleanUp: CleanUp,
  options: PostgresServerOptions = {},
): Promise<PostgresServer> {
  const folder = await makeTempFolder(cleanUp);
  const user = await serverUser();
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid);
  const dataFolder = options.dataFolder ?? join(folder, "data");
  if (options.dataFolder === undefined) await initializeCluster(dataFolder, options);
  const port = options.tcp === true ? await freePort() : 5432;
  const server = new PostgresServer(folder, dataFolder, port, serverArguments(folder, port, options));
  cleanUp.after(() => server.stop("immediate"));
  await server.start();
  return server;
}

/** A program of PostgreSQL 15. */
export function program(name: string): string {
  return join(BIN_FOLDER, name);
}

/** Runs a program of PostgreSQL as the servers' user and returns its standard output. */
export async function runProgram(
  name: string,
  programArguments: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { stdout } = await run(program(name), [...programArguments], {
    maxBuffer: OUTPUT_LIMIT_BYTES,
    env: { ...process.env, ...environment },
    ...(await serverUser()),
  });
  return stdout;
}

/** Makes a folder that the servers' user owns. */
export async function makeServerFolder(path: string, mode = 0o700): Promise<void> {
  await mkdir(path, { recursive: true, mode });
  const user = await serverUser();
  if (user.uid !== undefined) await chown(path, user.uid, user.gid);
}

/** The unprivileged user of the servers when root runs the tests; nothing otherwise. */
export async function serverUser(): Promise<{ uid: number; gid: number } | { uid?: never; gid?: never }> {
  if (process.getuid?.() !== 0) return {};
  const { stdout } = await run("getent", ["passwd", "tidemark"]).catch(async () => {
    await run("useradd", ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "tidemark"]);
    return run("getent", ["passwd", "tidemark"]);
  });
  const [, , uid, gid] = stdout.trim().split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

async function initializeCluster(dataFolder: string, options: PostgresServerOptions): Promise<void> {
  const initdbArguments = ["-D", dataFolder, "--username=postgres", "--auth=trust", "--no-sync", "--locale=C"];
  if (options.checksums !== false) initdbArguments.push("--data-checksums");
  if (options.segmentSizeMb !== undefined) initdbArguments.push(`--wal-segsize=${options.segmentSizeMb}`);
  await runProgram("initdb", [...initdbArguments, "--encoding=UTF8"]);
  // The first matching line counts: initdb's own lines for TCP trust everybody.
  await writeFile(join(dataFolder, "pg_hba.conf"), HOST_BASED_AUTHENTICATION);
}

function serverArguments(folder: string, port: number, options: PostgresServerOptions): string[] {
  const settings: Record<string, string> = {
    listen_addresses: options.tcp === true ? "127.0.0.1" : "",
    unix_socket_directories: folder,
    port: String(port),
    fsync: "off",
    shared_buffers: "16MB",
    max_wal_size: "512MB",
    wal_level: "replica",
    max_wal_senders: "10",
    max_replication_slots: "10",
    autovacuum: "off",
    log_checkpoints: "off",
    ...options.settings,
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
