import type { ByteStream } from "./store.ts";

/** The same chunks, but a pull that is waiting when the signal aborts rejects with its reason, also when the source never answers. */
export async function* untilAborted(source: ByteStream, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  if (signal === undefined) {
    yield* source;
    return;
  }
  signal.throwIfAborted();
  const chunks = source[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined); // nobody waits for it between two pulls
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  let ended = false;
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), aborted.promise]);
      ended = next.done === true;
      if (ended) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // A source that is stuck in a pull can't be waited for: its own signal has to free it.
    const closing = ended ? undefined : chunks.return?.();
    if (closing !== undefined) {
      if (signal.aborted) closing.catch(() => undefined);
      else await closing;
    }
  }
}
