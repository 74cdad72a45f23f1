import type { Clock } from "../core/clock.ts";
import { asTidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { ControlDatabase } from "./database.ts";
import { listUnattendedOperations } from "./operations.ts";
import type { Queue } from "./queue.ts";

/** With a lease of 10 s, a dead worker's operation is in other hands within 15. */
const TICK_MS = 2000;
/** What one tick sends; the rest waits for the next. */
const SENT_PER_TICK_MAX = 200;

/**
 * Looks every two seconds for operations that are due and that nobody holds, and sends a job for each: those put off, those whose job got
 * lost, those of dead workers. Any number of schedulers may run: a job waits once for each operation, and a claim decides.
 */
export class Scheduler {
  readonly #database: ControlDatabase;
  readonly #queue: Queue;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(options: { database: ControlDatabase; queue: Queue; clock: Clock; logger: Logger }) {
    this.#database = options.database;
    this.#queue = options.queue;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#tick();
        await this.#clock.sleep(TICK_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn({ error: asTidemarkError(error).message }, "a tick of the scheduler failed");
        await this.#clock.sleep(TICK_MS, signal).catch(() => undefined);
      }
    }
  }

  async #tick(): Promise<void> {
    const unattended = await listUnattendedOperations(this.#database, SENT_PER_TICK_MAX);
    for (const operation of unattended) await this.#queue.send(operation, operation.host_id);
  }
}
