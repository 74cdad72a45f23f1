import type { Clock } from "./clock.ts";

export interface Repetition {
  readonly clock: Clock;
  /** From the end of one run to the beginning of the next. */
  readonly intervalMs: number;
  /** Ends it; a run that is under way is left to look at the same signal. */
  readonly signal: AbortSignal;
  /** Told why a run failed; the next one comes all the same. Not called for a failure after the signal. */
  readonly onFailure: (thrown: unknown) => void;
}

/** Runs `work` at once and then again and again, one run at a time, until the signal aborts. Never rejects. */
export async function repeat(work: () => Promise<void>, repetition: Repetition): Promise<void> {
  const { clock, intervalMs, signal, onFailure } = repetition;
  while (!signal.aborted) {
    try {
      await work();
    } catch (thrown) {
      if (!signal.aborted) onFailure(thrown);
    }
    // Its only rejection is the signal, which the condition sees.
    await clock.sleep(intervalMs, signal).catch(() => undefined);
  }
}
