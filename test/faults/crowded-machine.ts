import { availableParallelism, loadavg } from "node:os";

/** So many processes that want each core are no crowd: an answer still comes about when it would alone. */
const UNCROWDED_LOAD_MAX = 2;

/** A promised time on this machine as it is now: longer in proportion where other programs leave little of it to the tests. */
export function promisedMs(limitMs: number): number {
  const [lastMinute = 0] = loadavg();
  return limitMs * Math.max(1, lastMinute / availableParallelism() / UNCROWDED_LOAD_MAX);
}
