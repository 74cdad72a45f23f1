import { asTidemarkError } from "../core/errors.ts";
import { schedulePeriodicBackups } from "./backup-schedule.ts";
import { scheduleBaseBackups } from "./base-backup-schedule.ts";
import type { SchedulingContext } from "./context.ts";
import { listUnattendedOperations } from "./operations.ts";

/** With a lease of 10 s, a dead worker's operation is in other hands within 15. */
const TICK_MS = 2000;
/** What one tick sends; the rest waits for the next. */
const SENT_PER_TICK_MAX = 200;

/**
 * Looks every two seconds for what is due: daily and base backups, and operations that nobody holds (those put off, those whose job got lost, those
 * of dead workers). Any number of schedulers may run: a job waits once for each operation, and a claim decides.
 */
export class Scheduler {
  readonly #context: SchedulingContext;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: SchedulingContext) {
    this.#context = context;
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#context;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#tick();
        await clock.sleep(TICK_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ error: asTidemarkError(error).message }, "a tick of the scheduler failed");
        await clock.sleep(TICK_MS, signal).catch(() => undefined);
      }
    }
  }

  async #tick(): Promise<void> {
    const { database, queue } = this.#context;
    // First of all, so that nothing that fails below holds up what was begun.
    const unattended = await listUnattendedOperations(database, SENT_PER_TICK_MAX);
    for (const operation of unattended) await queue.send(operation, operation.host_id);
    await scheduleBaseBackups(this.#context);
    await schedulePeriodicBackups(this.#context);
  }
}
