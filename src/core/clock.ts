import { setTimeout as delay } from "node:timers/promises";

/** Time as an argument. Only the composition root makes the real one; tests that need another pass their own. */
export interface Clock {
  /** The current instant; millisecond resolution. */
  now(): Date;
  /** Resolves after `durationMs`; rejects with the signal's reason when it aborts. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  async sleep(durationMs, signal) {
    try {
      await delay(durationMs, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
