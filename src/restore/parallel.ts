/**
 * Does `work` for every item, at most `limit` at once. The first failure aborts the signal that the others were given; when all have ended it is
 * thrown.
 */
export async function forEachParallel<Item>(
  items: readonly Item[],
  { limit, signal }: { readonly limit: number; readonly signal?: AbortSignal | undefined },
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const anySignal = signal === undefined ? abort.signal : AbortSignal.any([signal, abort.signal]);
  const queue = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      try {
        anySignal.throwIfAborted();
        await work(item, anySignal);
      } catch (error) {
        failure ??= { error };
        abort.abort(error);
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
}
