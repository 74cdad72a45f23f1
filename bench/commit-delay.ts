import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { systemClock } from "../src/core/clock.ts";
import { type Lsn, lsnDistance, parseLsn } from "../src/core/lsn.ts";
import { collectCleanUps } from "../test/harness/clean-ups.ts";
import { type PostgresServer, runProgram, startPostgresServer } from "../test/harness/postgres-server.ts";
import { type CaptureProcess, startCaptureProcess } from "./capture-process.ts";
import { type Commit, delaysMs, flushedLsn, untilDurable } from "./durable-delays.ts";
import { fillSampleDatabase } from "./sample-database.ts";
import { MB, markdownTable, percentile } from "./statistics.ts";

const DEFAULT_RATES_MB = "10,50";
const DEFAULT_SECONDS = 20;
/** What the writers copy from: rows as applications have them, so that the log compresses as theirs does. */
const SOURCE_MB = 20;
const SOURCE_ROWS = 20_000;
const ROWS_A_COMMIT = 200;
const WRITERS = 4;
const CALIBRATION_COMMITS = 50;
const SAMPLE_INTERVAL_MS = 50;

/**
 * From a commit's acknowledgement to the moment when the repository holds it, while pgbench writes log at several rates. The receiver is a process of its
 * own, with its defaults and a folder as repository.
 */
export async function benchCommitDelay(args: readonly string[], write: (text: string) => void): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "rates-mb": { type: "string", default: DEFAULT_RATES_MB },
      seconds: { type: "string", default: String(DEFAULT_SECONDS) },
    },
  });
  const cleanUps = collectCleanUps();
  try {
    const server = await startPostgresServer(cleanUps, {
      settings: { fsync: "on", shared_buffers: "256MB", max_wal_size: "8GB" },
    });
    const script = await prepareWriters(server);
    const capture = await startCaptureProcess(cleanUps, server, { streamCount: 1 });
    const rows = [];
    for (const rate of values["rates-mb"].split(",")) {
      write(`Writing ${rate} MB of log a second\n`);
      rows.push(await measure({ server, capture, script, rateMb: Number(rate), seconds: Number(values.seconds) }));
    }
    const headings = ["asked MB/s", "written MB/s", "commits", "p50 ms", "p99 ms", "max ms", "receiver CPU", "RSS MB"];
    write(`\n${markdownTable(headings, rows)}\n`);
  } finally {
    await cleanUps.run();
  }
}

/** @returns the file of a pgbench script that commits some rows */
async function prepareWriters(server: PostgresServer): Promise<string> {
  await fillSampleDatabase(server, SOURCE_MB);
  await server.query("create index on events (id)");
  await server.query("create table written (like events)");
  await server.query("create table sample (at timestamptz)");
  const script = join(server.folder, "writer.sql");
  const lines = [
    `\\set first random(1, ${SOURCE_ROWS - ROWS_A_COMMIT})`,
    `insert into written select * from events where id >= :first and id < :first + ${ROWS_A_COMMIT};`,
  ];
  await writeFile(script, `${lines.join("\n")}\n`);
  return script;
}

interface Load {
  readonly server: PostgresServer;
  readonly capture: CaptureProcess;
  readonly script: string;
  readonly rateMb: number;
  readonly seconds: number;
}

async function measure(load: Load): Promise<string[]> {
  const { server, capture } = load;
  const commitBytes = await calibrate(load);
  const [usageBefore, start, beganMs] = [await capture.usage(), await flushedLsn(server), performance.now()];
  const writing = pgbench(load, [`--time=${load.seconds}`, `--rate=${(load.rateMb * MB) / commitBytes}`]);
  const commits = await sampleCommits(server, writing);
  const [usageAfter, end] = [await capture.usage(), await flushedLsn(server)];
  const seconds = (performance.now() - beganMs) / 1000;
  await untilDurable(capture, end);
  const delays = delaysMs(commits, capture.reports[0] ?? []);
  const cpu = (usageAfter.processorSeconds - usageBefore.processorSeconds) / seconds;
  return [
    String(load.rateMb),
    (lsnDistance(start, end) / MB / seconds).toFixed(1),
    String(delays.length),
    percentile(delays, 0.5).toFixed(0),
    percentile(delays, 0.99).toFixed(0),
    percentile(delays, 1).toFixed(0),
    `${(cpu * 100).toFixed(0)} % of a core`,
    (usageAfter.memoryBytes / MB).toFixed(0),
  ];
}

/** @returns bytes of log that one commit writes */
async function calibrate(load: Load): Promise<number> {
  const start: Lsn = await flushedLsn(load.server);
  await pgbench(load, [`--transactions=${CALIBRATION_COMMITS}`]);
  return lsnDistance(start, await flushedLsn(load.server)) / (CALIBRATION_COMMITS * WRITERS);
}

async function pgbench({ server, script }: Load, options: readonly string[]): Promise<void> {
  const connection = [`--host=${server.folder}`, `--port=${server.port}`, "--username=postgres"];
  const writers = ["--no-vacuum", `--client=${WRITERS}`, `--file=${script}`];
  await runProgram("pgbench", [...connection, ...writers, ...options, "postgres"]);
}

/** Commits of their own beside the load, until it ends. */
async function sampleCommits(server: PostgresServer, load: Promise<void>): Promise<Commit[]> {
  const ended = new AbortController();
  const ending = load.finally(() => ended.abort());
  const client = new Client(server.client());
  await client.connect();
  const commits: Commit[] = [];
  try {
    while (!ended.signal.aborted) {
      await client.query("insert into sample values (now())");
      const atMs = performance.timeOrigin + performance.now();
      const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
      commits.push({ atMs, lsn: parseLsn(rows[0]?.lsn ?? "") });
      await systemClock.sleep(SAMPLE_INTERVAL_MS);
    }
  } finally {
    await client.end();
  }
  await ending;
  return commits;
}
