import type { Clock } from "../core/clock.ts";
import { TidemarkError, asTidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { type RunningServer, findServer, startServer, stopServer } from "./server.ts";
import type { ServerDefinition } from "./server-definition.ts";
import { boundLog, logPosition, logTail } from "./server-log.ts";

export interface SupervisedServer {
  /** The addon's id, or `control`. */
  readonly id: string;
  /** Stays the same while the server is in care, so that it can be found and stopped whatever its definition says. */
  readonly dataFolder: string;
  /** The server as it is to run now; asked before each start. */
  readonly define: () => Promise<ServerDefinition>;
}

/**
 * - `starting`: not yet accepting connections; a recovery after a crash can take long.
 * - `running`: accepting connections.
 * - `stopped`: by request, or because it can't run until an operator changes something (another program has its port);
 *   tried again all the same.
 * - `failed`: it ended or didn't start; it is started again after a pause.
 */
export type ServerState = "starting" | "running" | "stopped" | "failed";

export interface ServerStatus {
  readonly id: string;
  readonly state: ServerState;
  /** Why it isn't running, for people; null while it is and when it was stopped by request. */
  readonly reason: string | null;
  readonly since: Date;
  readonly pid: number | null;
}

export interface SupervisorLimits {
  /** How long a death can go unseen. Asking costs a read of two small files. */
  readonly pollIntervalMs: number;
  /** Pause before the first new start; doubles with each failure in a row. */
  readonly restartDelayMs: number;
  readonly restartDelayMaxMs: number;
  /** How long a start may take before it is told why the server isn't there yet; it is waited for all the same. */
  readonly readyTimeoutMs: number;
  /** A server that ran so long starts again with the first pause. */
  readonly stableRunMs: number;
}

export const SUPERVISOR_LIMITS: SupervisorLimits = {
  pollIntervalMs: 500,
  restartDelayMs: 1_000,
  restartDelayMaxMs: 60_000,
  readyTimeoutMs: 60_000,
  stableRunMs: 60_000,
};

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told every change of a server's state; must not throw. */
  readonly onStatus?: (status: ServerStatus) => void;
  readonly limits?: SupervisorLimits;
}

interface Entry {
  readonly server: SupervisedServer;
  status: ServerStatus;
  /** Ends the watch, not the server. Null while the server is to be stopped. */
  watch: { readonly controller: AbortController; readonly ended: Promise<void> } | null;
  /** Requests for one server happen one after the other. */
  queue: Promise<unknown>;
}

/** Looking at a log's size is cheap, but not needed more often. */
const LOG_CHECK_INTERVAL_MS = 60_000;
/** Part of the time to stop that is left for an immediate shutdown after a fast one took too long. */
const IMMEDIATE_SHARE = 0.3;
const STOP_TIMEOUT_MS = 30_000;

/**
 * Keeps servers of this machine running: adopts those that run already, starts the others, and starts again what ends.
 * Adopted servers and own children are watched alike, by asking whether their process lives.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #limits: SupervisorLimits;
  readonly #entries = new Map<string, Entry>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#limits = options.limits ?? SUPERVISOR_LIMITS;
  }

  /**
   * Takes a server into care and starts it; resolves with its status after the first attempt, failed or not. Again for
   * a known id: its new definition counts.
   */
  async supervise(server: SupervisedServer): Promise<ServerStatus> {
    const known = this.#entries.get(server.id);
    if (known !== undefined) await this.#enqueue(known, () => this.#endWatch(known));
    const entry: Entry = {
      server,
      status: known?.status ?? this.#statusOf(server.id, { state: "starting", reason: null, pid: null }),
      watch: null,
      queue: Promise.resolve(),
    };
    this.#entries.set(server.id, entry);
    return this.#enqueue(entry, () => this.#beginWatch(entry));
  }

  /** Undefined for an id not in care. */
  status(id: string): ServerStatus | undefined {
    return this.#entries.get(id)?.status;
  }

  /** Starts a server that was stopped; as `supervise()`. `not_found` for an id not in care. */
  async start(id: string): Promise<ServerStatus> {
    const entry = this.#entry(id);
    return this.#enqueue(entry, () => this.#beginWatch(entry));
  }

  /** Stops a server and leaves it stopped, in care. `not_found` for an id not in care. */
  async stop(id: string, { timeoutMs = STOP_TIMEOUT_MS }: { readonly timeoutMs?: number } = {}): Promise<void> {
    const entry = this.#entry(id);
    await this.#enqueue(entry, () => this.#stopEntry(entry, timeoutMs));
  }

  /** Stops and starts with its newest definition. */
  async restart(id: string): Promise<ServerStatus> {
    await this.stop(id);
    return this.start(id);
  }

  /** Lets go of a server without stopping it; nothing happens for an id not in care. */
  async release(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    await this.#enqueue(entry, () => this.#endWatch(entry));
    this.#entries.delete(id);
  }

  /**
   * Ends all watching, and the servers themselves unless they are left running: all at once, fast, then by force,
   * within about `timeoutMs`.
   */
  async close({
    leaveRunning,
    timeoutMs,
  }: {
    readonly leaveRunning: boolean;
    readonly timeoutMs: number;
  }): Promise<void> {
    const entries = [...this.#entries.values()];
    const outcomes = await Promise.allSettled(
      entries.map(async (entry) => {
        await this.#endWatch(entry);
        if (!leaveRunning) await this.#enqueue(entry, () => this.#stopEntry(entry, timeoutMs));
      }),
    );
    this.#entries.clear();
    const failures = outcomes
      .filter((outcome) => outcome.status === "rejected")
      .map((outcome) => asTidemarkError(outcome.reason));
    if (failures.length > 0) throw new AggregateError(failures, "Cannot stop all database servers");
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new TidemarkError("not_found", `Cannot find a server "${id}" on this machine`);
    return entry;
  }

  async #enqueue<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
    const result = entry.queue.then(work, work);
    entry.queue = result.catch(() => undefined);
    return result;
  }

  async #beginWatch(entry: Entry): Promise<ServerStatus> {
    if (entry.watch === null) {
      const controller = new AbortController();
      const first = Promise.withResolvers<void>();
      const ended = this.#watch(entry, { signal: controller.signal, onAttempt: first.resolve }).finally(first.resolve);
      entry.watch = { controller, ended };
      await first.promise;
    }
    return entry.status;
  }

  async #endWatch(entry: Entry): Promise<void> {
    const watch = entry.watch;
    entry.watch = null;
    watch?.controller.abort();
    await watch?.ended;
  }

  async #stopEntry(entry: Entry, timeoutMs: number): Promise<void> {
    await this.#endWatch(entry);
    const outcome = await stopServer(entry.server, {
      clock: this.#options.clock,
      fastTimeoutMs: timeoutMs * (1 - IMMEDIATE_SHARE),
      immediateTimeoutMs: timeoutMs * IMMEDIATE_SHARE,
    });
    this.#options.logger.info({ server: entry.server.id, outcome }, "database server stopped");
    this.#setStatus(entry, { state: "stopped", reason: null, pid: null });
  }

  /** Until the signal: start or adopt, watch, and after its end pause and begin again. Never rejects. */
  async #watch(
    entry: Entry,
    { signal, onAttempt }: { readonly signal: AbortSignal; readonly onAttempt: () => void },
  ): Promise<void> {
    let failuresInARow = 0;
    while (!signal.aborted) {
      try {
        const runMs = await this.#runOnce(entry, { signal, onAttempt });
        failuresInARow = runMs >= this.#limits.stableRunMs ? 1 : failuresInARow + 1;
      } catch (error) {
        if (signal.aborted) return;
        failuresInARow++;
        await this.#reportFailure(entry, asTidemarkError(error));
      }
      onAttempt();
      const pauseMs = restartDelayMs(failuresInARow, this.#limits);
      // The only rejection of the pause is the end of the watch, which the loop's condition sees.
      await this.#options.clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  /** One life of the server; resolves after its unexpected end with how long it ran. */
  async #runOnce(
    entry: Entry,
    { signal, onAttempt }: { readonly signal: AbortSignal; readonly onAttempt: () => void },
  ): Promise<number> {
    const { clock, logger } = this.#options;
    if (entry.status.state !== "running")
      this.#setStatus(entry, { state: "starting", reason: entry.status.reason, pid: null });
    const server = await entry.server.define();
    const { pid, wasRunning } = await startServer(server, {
      clock,
      signal,
      readyTimeoutMs: this.#limits.readyTimeoutMs,
    });
    const startedMs = clock.now().getTime();
    const logStart = await logPosition(server);
    logger.info({ server: entry.server.id, pid }, wasRunning ? "database server adopted" : "database server started");
    this.#setStatus(entry, { state: "running", reason: null, pid });
    onAttempt();
    await this.#untilEnd(server, { pid, signal });
    const lines = await logTail(server, logStart);
    logger.warn({ server: entry.server.id, pid, log: lines }, "database server ended unexpectedly");
    this.#setStatus(entry, {
      state: "failed",
      reason: `It ended unexpectedly; its log ends with:\n${lines}`,
      pid: null,
    });
    return clock.now().getTime() - startedMs;
  }

  async #untilEnd(
    server: ServerDefinition,
    { pid, signal }: { readonly pid: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { clock } = this.#options;
    let logCheckedMs = clock.now().getTime();
    let running: RunningServer | undefined;
    do {
      await clock.sleep(this.#limits.pollIntervalMs, signal);
      if (clock.now().getTime() - logCheckedMs >= LOG_CHECK_INTERVAL_MS) {
        await boundLog(server);
        logCheckedMs = clock.now().getTime();
      }
      running = await findServer(server);
    } while (running?.pid === pid);
  }

  async #reportFailure(entry: Entry, error: TidemarkError): Promise<void> {
    const running = await findServer(entry.server).catch(() => undefined);
    const { logger } = this.#options;
    logger.warn({ server: entry.server.id, code: error.code, err: error }, "database server doesn't start");
    const isReady = running?.state === "ready" || running?.state === "standby";
    // It was started before, and only its new definition can't be made.
    if (isReady) this.#setStatus(entry, { state: "running", reason: null, pid: running.pid });
    // It is still recovering from a crash.
    else if (running !== undefined)
      this.#setStatus(entry, { state: "starting", reason: error.message, pid: running.pid });
    else if (error.kind === "permanent") this.#setStatus(entry, { state: "stopped", reason: error.message, pid: null });
    else this.#setStatus(entry, { state: "failed", reason: error.message, pid: null });
  }

  #setStatus(entry: Entry, change: Pick<ServerStatus, "state" | "reason" | "pid">): void {
    const isSame =
      entry.status.state === change.state && entry.status.reason === change.reason && entry.status.pid === change.pid;
    if (isSame) return;
    entry.status = this.#statusOf(entry.server.id, change);
    this.#options.onStatus?.(entry.status);
  }

  #statusOf(id: string, change: Pick<ServerStatus, "state" | "reason" | "pid">): ServerStatus {
    return { id, since: this.#options.clock.now(), ...change };
  }
}

/** Pause before the next start after so many failures in a row (1, 2, ...). */
export function restartDelayMs(failuresInARow: number, limits: SupervisorLimits): number {
  return Math.min(limits.restartDelayMaxMs, limits.restartDelayMs * 2 ** (failuresInARow - 1));
}
