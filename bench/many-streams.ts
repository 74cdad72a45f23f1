import { parseArgs } from "node:util";
import { systemClock } from "../src/core/clock.ts";
import { type CleanUps, collectCleanUps } from "../test/harness/clean-ups.ts";
import { type PostgresServer, startPostgresServer } from "../test/harness/postgres-server.ts";
import { dropSlots, startCaptureProcess } from "./capture-process.ts";
import { type Commit, delaysMs, flushedLsn, untilDurable } from "./durable-delays.ts";
import { MB, markdownTable, percentile } from "./statistics.ts";

const DEFAULT_COUNTS = "10,100,500,1000";
const DEFAULT_SECONDS = 30;
/** A low rate: what a small application's database sees in a quiet hour. */
const DEFAULT_COMMIT_INTERVAL_MS = 5000;

const NOTES = `All streams are slots of one server and stand for as many servers: what the receiving process does is the same, but every commit reaches all streams
in the same moment, where those of many servers would be spread. The server's own senders are not counted.`;

interface Run {
  readonly count: number;
  readonly seconds: number;
  readonly commitIntervalMs: number;
}

/** Many streams in one process: its memory and processor time, and how long commits take until each stream has stored them. */
export async function benchManyStreams(args: readonly string[], write: (text: string) => void): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      counts: { type: "string", default: DEFAULT_COUNTS },
      seconds: { type: "string", default: String(DEFAULT_SECONDS) },
      "commit-interval-ms": { type: "string", default: String(DEFAULT_COMMIT_INTERVAL_MS) },
    },
  });
  const counts = values.counts.split(",").map(Number);
  const [seconds, commitIntervalMs] = [Number(values.seconds), Number(values["commit-interval-ms"])];
  const cleanUps = collectCleanUps();
  try {
    const server = await startServer(cleanUps, Math.max(...counts));
    const rows = [];
    for (const count of counts) {
      write(`${count} streams\n`);
      rows.push(await measure(server, { count, seconds, commitIntervalMs }));
    }
    const headings = ["streams", "RSS MB", "peak MB", "CPU", "started in s", "commits x streams", "p50 ms", "p99 ms"];
    write(`\n${markdownTable(headings, rows)}\n\n${NOTES}\n`);
  } finally {
    await cleanUps.run();
  }
}

async function startServer(cleanUps: CleanUps, countMax: number): Promise<PostgresServer> {
  const connections = String(countMax + 20);
  const server = await startPostgresServer(cleanUps, {
    settings: { max_wal_senders: connections, max_replication_slots: connections },
  });
  await server.query("create table sample (at timestamptz)");
  return server;
}

async function measure(server: PostgresServer, run: Run): Promise<string[]> {
  const cleanUps = collectCleanUps();
  try {
    // A new slot begins at the last checkpoint, and a receiver with the whole of that segment: little of it, so that all begin in a moment.
    await server.query("select pg_switch_wal()");
    await server.query("checkpoint");
    const beganMs = performance.now();
    const capture = await startCaptureProcess(cleanUps, server, { streamCount: run.count });
    const startSeconds = (performance.now() - beganMs) / 1000;
    await untilDurable(capture, await flushedLsn(server));
    const before = await capture.usage();
    const commits = await commitSlowly(server, run);
    const after = await capture.usage();
    await untilDurable(capture, await flushedLsn(server));
    const delays = capture.reports.flatMap((reports) => delaysMs(commits, reports));
    const cpu = (after.processorSeconds - before.processorSeconds) / run.seconds;
    return [
      String(run.count),
      (after.memoryBytes / MB).toFixed(0),
      (after.peakMemoryBytes / MB).toFixed(0),
      `${(cpu * 100).toFixed(0)} % of a core`,
      startSeconds.toFixed(1),
      String(delays.length),
      percentile(delays, 0.5).toFixed(0),
      percentile(delays, 0.99).toFixed(0),
    ];
  } finally {
    await cleanUps.run();
    await dropSlots(server);
  }
}

async function commitSlowly(server: PostgresServer, { seconds, commitIntervalMs }: Run): Promise<Commit[]> {
  const commits: Commit[] = [];
  for (let passedMs = 0; passedMs < seconds * 1000; passedMs += commitIntervalMs) {
    await server.query("insert into sample values (now())");
    const atMs = performance.timeOrigin + performance.now();
    commits.push({ atMs, lsn: await flushedLsn(server) });
    await systemClock.sleep(commitIntervalMs);
  }
  return commits;
}
