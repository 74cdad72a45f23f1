import { systemClock } from "../src/core/clock.ts";
import { type Lsn, parseLsn } from "../src/core/lsn.ts";
import type { PostgresServer } from "../test/harness/postgres-server.ts";
import type { CaptureProcess, DurableReport } from "./capture-process.ts";

const POLL_INTERVAL_MS = 50;
const DURABLE_DEADLINE_MS = 120_000;

/** A commit, and the end of the log just after it was acknowledged: a little later than the commit's own, so that no delay is called too short. */
export interface Commit {
  readonly lsn: Lsn;
  /** Milliseconds since 1970, with fractions. */
  readonly atMs: number;
}

/** For each commit, how long it took until a stream had it durable. Both in the order of the log. */
export function delaysMs(commits: readonly Commit[], reports: readonly DurableReport[]): number[] {
  let next = 0;
  const delays: number[] = [];
  for (const { lsn, atMs } of commits) {
    while ((reports[next]?.lsn ?? lsn) < lsn) next += 1;
    const report = reports[next];
    if (report !== undefined) delays.push(report.atMs - atMs);
  }
  return delays;
}

/** Waits until all streams have reported so much of the log as durable. */
export async function untilDurable(capture: CaptureProcess, lsn: Lsn): Promise<void> {
  const deadline = AbortSignal.timeout(DURABLE_DEADLINE_MS);
  while (!capture.reports.every((reports) => (reports.at(-1)?.lsn ?? 0n) >= lsn))
    await systemClock.sleep(POLL_INTERVAL_MS, deadline);
}

export async function flushedLsn(server: PostgresServer): Promise<Lsn> {
  return parseLsn(await server.value("select pg_current_wal_flush_lsn()"));
}
