import type { StandbyMinimums } from "../postgres/wal/record.ts";
import { COPY_SHARED_BUFFERS_BYTES } from "./recovery-settings.ts";

/** How fast this machine restores. */
export interface RestoreRates {
  /** Bytes of data folder and tablespaces written, from fetching to the last file. */
  readonly fetchBytesPerSecond: number;
  /** Bytes of write-ahead log replayed. */
  readonly replayBytesPerSecond: number;
}

export interface RestoreEstimate {
  readonly fetchSeconds: number;
  readonly replaySeconds: number;
  /** By earlier restores here; else by what an ordinary machine does. */
  readonly isMeasured: boolean;
}

/** What two cores and an ordinary SSD do: on the careful side of what `bench/` measures. Replay is one process, and depends on what is replayed. */
const ASSUMED_RATES: RestoreRates = { fetchBytesPerSecond: 150e6, replayBytesPerSecond: 40e6 };

/** The copy's processes, and what fetching holds. */
const OTHER_MEMORY_BYTES = 128 * 1024 * 1024;
/** One lock's entry with its share of the hash tables; src/backend/storage/lmgr/lock.c */
const LOCK_BYTES = 270;
/** A session's place in shared memory, with its share of what is sized by sessions. */
const SESSION_BYTES = 12 * 1024;

/** How long fetching and replay take. Pure. */
export function estimateRestore(
  work: { readonly dataBytes: number; readonly walBytes: number },
  rates: RestoreRates | undefined,
): RestoreEstimate {
  const { fetchBytesPerSecond, replayBytesPerSecond } = rates ?? ASSUMED_RATES;
  return {
    fetchSeconds: Math.ceil(work.dataBytes / fetchBytesPerSecond),
    replaySeconds: Math.ceil(work.walBytes / replayBytesPerSecond),
    isMeasured: rates !== undefined,
  };
}

/** Memory that the recovering copy takes at most: its settings may have to be as high as the original's. Pure. */
export function copyMemoryBytes(minimums: StandbyMinimums): number {
  const sessions =
    minimums.maxConnections + minimums.maxWorkerProcesses + minimums.maxWalSenders + minimums.maxPreparedTransactions;
  return (
    COPY_SHARED_BUFFERS_BYTES +
    OTHER_MEMORY_BYTES +
    sessions * (SESSION_BYTES + minimums.maxLocksPerTransaction * LOCK_BYTES)
  );
}
