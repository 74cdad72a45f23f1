import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { programPath } from "../postgres/programs.ts";
import { type LockFile, type PostmasterState, parseLockFile } from "./postmaster-file.ts";
import { isPortFree } from "./ports.ts";
import { isPostmaster, postgresProcessesIn, processExists, signalProcess } from "./processes.ts";
import type { ServerDefinition } from "./server-definition.ts";
import { configurationFiles, writeServerFiles } from "./server-files.ts";
import { logPosition, logTail, openLog } from "./server-log.ts";
import { spawnIdentity } from "./service-user.ts";

/** A server process that lives, whoever started it. */
export interface RunningServer {
  readonly pid: number;
  /** Null in the moment before the server has said. */
  readonly state: PostmasterState | null;
}

/** What finding and stopping a server takes. */
export type ServerData = Pick<ServerDefinition, "dataFolder">;

export interface Waiting {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

export interface StartOptions extends Waiting {
  /**
   * How long to wait until the server accepts connections. Recovery after a crash replays WAL first, which can take
   * minutes.
   */
  readonly readyTimeoutMs?: number;
}

export interface StopOptions extends Waiting {
  /** How long a fast shutdown may take before the immediate one, after which the next start recovers from WAL. */
  readonly fastTimeoutMs?: number;
  /** How long the immediate one may take before processes are killed. */
  readonly immediateTimeoutMs?: number;
}

const READY_TIMEOUT_MS = 60_000;
const FAST_STOP_TIMEOUT_MS = 30_000;
/** PostgreSQL itself kills its processes 5 s after an immediate shutdown began. */
const IMMEDIATE_STOP_TIMEOUT_MS = 8_000;
/** Asking costs a read of two small files. */
const POLL_INTERVAL_MS = 50;

/**
 * Sees to it that the server runs and accepts connections: takes over the one that is running, or starts it, detached,
 * so that it outlives the platform. Its data folder must exist. `server_start_failed` with the last lines of its log
 * when it ends, or doesn't accept in time; in the second case it is left running and a later call goes on waiting. The
 * same after cancellation. `port_in_use` when somebody else has its port.
 */
export async function startServer(
  server: ServerDefinition,
  { clock, signal, readyTimeoutMs = READY_TIMEOUT_MS }: StartOptions,
): Promise<{ readonly pid: number; readonly wasRunning: boolean }> {
  signal?.throwIfAborted();
  const running = await findServer(server);
  await writeServerFiles(server);
  const logStart = await logPosition(server);
  if (running !== undefined) reloadProcess(running.pid);
  else await clearWay(server, { clock, ...(signal === undefined ? {} : { signal }) });
  const pid = running?.pid ?? (await launch(server));
  await untilFindable(server, pid, clock);
  const isReady = async (): Promise<boolean> => {
    const file = await readPostmasterFile(server);
    // The file that a crashed server left says "ready" until the new one writes its own.
    if (file?.pid === pid && (file.state === "ready" || file.state === "standby")) return true;
    return !(await isPostmaster(pid, server.dataFolder));
  };
  const settled = await poll(isReady, {
    clock,
    timeoutMs: readyTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  if (settled && (await isPostmaster(pid, server.dataFolder))) return { pid, wasRunning: running !== undefined };
  const reason = settled ? "it ended" : `it doesn't accept connections after ${readyTimeoutMs / 1000} s`;
  throw await startFailed(server, reason, logStart);
}

/**
 * The server's process, if there is one; a postmaster.pid left by a crash, or whose pid now is another program's,
 * counts for nothing.
 */
export async function findServer(server: ServerData): Promise<RunningServer | undefined> {
  const file = await readPostmasterFile(server);
  if (file === null || !(await isPostmaster(file.pid, server.dataFolder))) return undefined;
  return { pid: file.pid, state: file.state };
}

/**
 * Stops the server: fast, then immediate, then by force. May be called for one that doesn't run; processes left by a
 * killed postmaster are ended too. Resolves when none is left and says how it went.
 */
export async function stopServer(
  server: ServerData,
  { clock, signal, fastTimeoutMs = FAST_STOP_TIMEOUT_MS, immediateTimeoutMs = IMMEDIATE_STOP_TIMEOUT_MS }: StopOptions,
): Promise<"not_running" | "fast" | "immediate" | "killed"> {
  const waiting = { clock, ...(signal === undefined ? {} : { signal }) };
  const running = await findServer(server);
  if (running === undefined) {
    await endLeftovers(server, waiting);
    return "not_running";
  }
  const hasEnded = async (): Promise<boolean> => !(await isPostmaster(running.pid, server.dataFolder));
  signalProcess(running.pid, "SIGINT");
  if (await poll(hasEnded, { ...waiting, timeoutMs: fastTimeoutMs })) return "fast";
  signalProcess(running.pid, "SIGQUIT");
  if (await poll(hasEnded, { ...waiting, timeoutMs: immediateTimeoutMs })) return "immediate";
  signalProcess(running.pid, "SIGKILL");
  await poll(hasEnded, { ...waiting, timeoutMs: IMMEDIATE_STOP_TIMEOUT_MS });
  await endLeftovers(server, waiting);
  return "killed";
}

/** Writes the configuration anew and has a running server read it, certificates included. */
export async function reloadServer(server: ServerDefinition): Promise<void> {
  await writeServerFiles(server);
  const running = await findServer(server);
  if (running !== undefined) reloadProcess(running.pid);
}

function reloadProcess(pid: number): void {
  signalProcess(pid, "SIGHUP");
}

/** Not to be cancelled: until the server has written its lock file, nobody could find and stop it. */
async function untilFindable(server: ServerDefinition, pid: number, clock: Clock): Promise<void> {
  const isFindable = async (): Promise<boolean> =>
    (await readPostmasterFile(server))?.pid === pid || !(await isPostmaster(pid, server.dataFolder));
  await poll(isFindable, { clock, timeoutMs: READY_TIMEOUT_MS });
}

async function launch(server: ServerDefinition): Promise<number> {
  const log = await openLog(server);
  try {
    const child = spawn(programPath(server.programs, "postgres"), launchOptions(server), {
      ...spawnIdentity(server.user),
      cwd: "/",
      detached: true,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      stdio: ["ignore", log.fd, log.fd],
    });
    await once(child, "spawn");
    child.unref();
    const { pid } = child;
    if (pid === undefined) throw new Error("the process has no pid");
    return pid;
  } catch (error) {
    throw new TidemarkError("server_start_failed", `Cannot start server "${server.name}": its program doesn't run`, {
      cause: error,
      hint: `Check that user "${server.user.name}" may run "${programPath(server.programs, "postgres")}".`,
    });
  } finally {
    await log.close();
  }
}

function launchOptions(server: ServerDefinition): string[] {
  const files = configurationFiles(server);
  const settings = {
    config_file: files.settings,
    hba_file: files.access,
    ident_file: files.identities,
    ...server.commandLineSettings,
  };
  return ["-D", server.dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

/**
 * Takes away what would keep a new postmaster from starting though no server runs: backends of a killed one, and lock
 * files that are empty or whose pid another program has been given. Any other stale lock file PostgreSQL itself takes
 * over, with the shared memory check that the file is needed for. Then looks whether the port is free.
 */
async function clearWay(server: ServerDefinition, waiting: Waiting): Promise<void> {
  await endLeftovers(server, waiting);
  const own = postmasterFile(server);
  if (await blocksStart(own, server)) await rm(own, { force: true });
  const socket = join(server.socketFolder, `.s.PGSQL.${server.port}`);
  if (await blocksStart(`${socket}.lock`, server)) {
    await rm(`${socket}.lock`, { force: true });
    await rm(socket, { force: true });
  }
  await requireFreePort(server);
}

async function requireFreePort({ name, listenAddresses, port }: ServerDefinition): Promise<void> {
  const addresses = listenAddresses.split(",").filter((address) => address !== "");
  for (const bind of addresses) {
    if (await isPortFree({ bind, port })) continue;
    throw new TidemarkError(
      "port_in_use",
      `Cannot start server "${name}": another program listens on "${bind}", port ${port}`,
      {
        hint: `See which (ss --listening --tcp --processes "sport = :${port}"), and stop it: this database keeps its port.`,
      },
    );
  }
}

async function blocksStart(lockFile: string, server: ServerDefinition): Promise<boolean> {
  const text = await readIfPresent(lockFile);
  if (text === undefined) return false;
  const lock = parseLockFile(text);
  return lock === null || (lock.dataFolder === server.dataFolder && processExists(lock.pid));
}

/** Ends backends that outlived their postmaster: while one lives, no new server may touch the data. */
async function endLeftovers(server: ServerData, { clock, signal }: Waiting): Promise<void> {
  const hasEnded = async (): Promise<boolean> => (await postgresProcessesIn(server.dataFolder)).length === 0;
  for (const ending of ["SIGQUIT", "SIGKILL"] as const) {
    for (const pid of await postgresProcessesIn(server.dataFolder)) signalProcess(pid, ending);
    const options = { clock, timeoutMs: IMMEDIATE_STOP_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
    if (await poll(hasEnded, options)) return;
  }
}

function postmasterFile(server: ServerData): string {
  return join(server.dataFolder, "postmaster.pid");
}

async function readPostmasterFile(server: ServerData): Promise<LockFile | null> {
  const text = await readIfPresent(postmasterFile(server));
  return text === undefined ? null : parseLockFile(text);
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function poll(
  condition: () => Promise<boolean>,
  { clock, signal, timeoutMs }: Waiting & { readonly timeoutMs: number },
): Promise<boolean> {
  const deadlineMs = clock.now().getTime() + timeoutMs;
  while (!(await condition())) {
    if (clock.now().getTime() >= deadlineMs) return false;
    await clock.sleep(POLL_INTERVAL_MS, signal);
  }
  return true;
}

async function startFailed(server: ServerDefinition, reason: string, logStart: number): Promise<TidemarkError> {
  const lines = await logTail(server, logStart);
  return new TidemarkError(
    "server_start_failed",
    `Cannot start server "${server.name}": ${reason}; its log ends with:\n${lines}`,
    {
      hint: `The whole log is in "${join(server.folder, "log")}".`,
    },
  );
}
