import type { Clock } from "../core/clock.ts";

/** Under npm one Ctrl+C arrives twice within a millisecond: a second one counts only after this. */
const SECOND_SIGNAL_AFTER_MS = 1000;

export interface StopSignals {
  /** Aborts at the first SIGTERM or SIGINT, or when the parent process is gone: stop in good order. */
  readonly requested: AbortSignal;
  /** Aborts at a second SIGINT by an impatient user. */
  readonly forced: AbortSignal;
}

/** Listens on the process for the whole of its life. */
export function listenForStop(process: NodeJS.Process, clock: Clock): StopSignals {
  const requested = new AbortController();
  const forced = new AbortController();
  let firstAtMs: number | undefined;
  const onSignal = (): void => {
    const nowMs = clock.now().getTime();
    if (firstAtMs !== undefined && nowMs - firstAtMs >= SECOND_SIGNAL_AFTER_MS) forced.abort();
    firstAtMs ??= nowMs;
    requested.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", () => requested.abort());
  // The channel to a parent that forked this process closes with the parent, however it ended.
  process.on("disconnect", () => requested.abort());
  // A parent that was gone before this line has left no event to hear.
  // oxlint-disable-next-line typescript/no-unnecessary-boolean-literal-compare -- undefined, whatever its type says, where no parent forked us
  if (process.connected === false) requested.abort();
  return { requested: requested.signal, forced: forced.signal };
}

/** Resolves when the signal aborts, at once if it has. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}
