import { asTidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
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
    const { clock, logger } = context;
    this.#loop = repeat(() => this.#tick(), {
      clock,
      intervalMs: TICK_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) => logger.warn({ error: asTidemarkError(thrown).message }, "a tick of the scheduler failed"),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  /** A duty that fails holds up none of the others; what was begun before comes first. */
  async #tick(): Promise<void> {
    const duties = [
      () => this.#sendUnattended(),
      () => scheduleBaseBackups(this.#context),
      () => schedulePeriodicBackups(this.#context),
    ];
    const failures: unknown[] = [];
    for (const duty of duties) await duty().catch((thrown: unknown) => failures.push(thrown));
    if (failures.length > 0) throw failures[0];
  }

  async #sendUnattended(): Promise<void> {
    const { database, queue } = this.#context;
    const unattended = await listUnattendedOperations(database, SENT_PER_TICK_MAX);
    for (const operation of unattended) await queue.send(operation, operation.host_id);
  }
}
