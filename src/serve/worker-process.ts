import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Clock } from "../core/clock.ts";
import type { Environment } from "../config.ts";
import { asTidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

/** A worker that keeps dying is started less and less often; one that lived for a while starts again at once. */
const RESTART_DELAY_MIN_MS = 500;
const RESTART_DELAY_MAX_MS = 30_000;
const STEADY_AFTER_MS = 60_000;
/** Compression shares Node's pool with writes to disk: with the usual four threads, a few large blocks hold up every small write. */
const UV_THREADPOOL_SIZE = "8";
const LIFE_SIGN = "alive?";
/** How often the worker is asked for a sign of life. */
const LIFE_SIGN_INTERVAL_MS = 2000;
/**
 * A worker that gives none for so long is ended: frozen, it would hold its connections open, and a server whose log goes to it can't even drop a
 * slot that is lost: its sender hangs in a write, and the next checkpoint waits for it. Long enough for a machine that is short of time.
 */
const LIFE_SIGN_TIMEOUT_MS = 20_000;
/** What a worker may take to give back its operations before it is killed; its leases run out by themselves. */
const STOP_TIMEOUT_MS = 8000;

export interface WorkerProcessOptions {
  /** The program, `main.ts`. */
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: Environment;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told when it has ended unexpectedly: what it held can be freed. */
  readonly onEnd: (pid: number) => Promise<void>;
}

/**
 * The worker as a process of its own, started again whenever it ends: a backup's compression never blocks the API, and a worker that is
 * killed takes nothing else with it. It ends by itself when this process is gone, since its channel closes then.
 */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;
  #child: ChildProcess | undefined;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** Its process id, undefined between two runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await once(child, "exit");
      clearTimeout(timer);
    }
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options;
    let delayMs = RESTART_DELAY_MIN_MS;
    while (!this.#closing.signal.aborted) {
      const startedAtMs = clock.now().getTime();
      const end = await this.#runOnce();
      if (this.#closing.signal.aborted) return;
      if (clock.now().getTime() - startedAtMs >= STEADY_AFTER_MS) delayMs = RESTART_DELAY_MIN_MS;
      logger.warn({ end, delayMs }, "the worker ended; it is started again");
      await clock.sleep(delayMs, this.#closing.signal).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MAX_MS);
    }
  }

  /** Ends a child that has stopped to answer; one that is booting has the same time for its first answer. */
  #watchLife(child: ChildProcess): NodeJS.Timeout {
    const { clock, logger } = this.#options;
    let answeredAtMs = clock.now().getTime();
    child.on("message", () => {
      answeredAtMs = clock.now().getTime();
    });
    return setInterval(() => {
      // The channel may just have closed: then the exit is on its way.
      if (child.connected) child.send(LIFE_SIGN, () => undefined);
      if (clock.now().getTime() - answeredAtMs < LIFE_SIGN_TIMEOUT_MS) return;
      logger.error({ pid: child.pid }, "the worker gives no sign of life and is ended");
      child.kill("SIGKILL");
    }, LIFE_SIGN_INTERVAL_MS);
  }

  /** How the process ended: its exit code, the signal, or why it could not be started. */
  async #runOnce(): Promise<string> {
    const { program, arguments: args, environment, logger, onEnd } = this.#options;
    const child = fork(program, [...args], {
      env: { UV_THREADPOOL_SIZE, ...environment },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    const { promise, resolve } = Promise.withResolvers<string>();
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    const watch = this.#watchLife(child);
    const end = await promise;
    clearInterval(watch);
    this.#child = undefined;
    if (child.pid !== undefined && !this.#closing.signal.aborted) {
      // Best effort: what isn't freed here frees itself a little later.
      await onEnd(child.pid).catch((error: unknown) =>
        logger.warn(
          { error: asTidemarkError(error).message },
          "a dead worker's operations wait for their leases to run out",
        ),
      );
    }
    return end;
  }
}

/** The worker's part: answers its parent's questions for a sign of life. Does nothing in a process that nobody forked. */
export function giveLifeSigns(process: NodeJS.Process): void {
  process.on("message", (message) => {
    // A parent that has just died takes no answer; its end is told by the channel.
    if (message === LIFE_SIGN && process.connected) process.send?.(LIFE_SIGN, undefined, undefined, () => undefined);
  });
}
