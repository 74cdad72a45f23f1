/**
 * Runs the tests, all in one run of node:test.
 *
 *   npm test                                   every *.test.ts below src/ and test/
 *   npm test -- test/architecture.test.ts ...  these files, or the test files below these folders
 *   npm run test:full                          the slow suites with their full matrices
 *
 * Exits 0 only if tests ran, all passed, every test file's process ended by itself, and no process was left behind.
 */
import { chmod, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, join, relative, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { setTimeout as delay } from "node:timers/promises";
import { findProcessesIn, type LeftoverProcess } from "../test/harness/leftover-processes.ts";
import { TEMP_ROOT_VARIABLE } from "../test/harness/temp-folder.ts";

const TOP = resolve(import.meta.dirname, "..");
/** Far above what any single test needs, since machines that run this are loaded; only a hang gets there. */
const TEST_TIMEOUT_MS = 300_000;
/** A run that reports nothing for longer than one test may take has a file whose process doesn't end. */
const SILENCE_MAX_MS = TEST_TIMEOUT_MS + 30_000;
const SILENCE_CHECK_INTERVAL_MS = 5_000;
/** Test files wait for servers, clocks and files for a third of their time: with one more than there are cores, the cores are busy meanwhile. */
const WAITING_FILES = 1;
/** Processes that were told to stop as their test ended get this long before they count as left behind, and again as they are ended. */
const LEFTOVER_GRACE_MS = 5_000;
const LEFTOVER_POLL_INTERVAL_MS = 100;

process.exitCode = await main(process.argv.slice(2));

async function main(chosen: readonly string[]): Promise<number> {
  const files = await findTestFiles(chosen.length === 0 ? ["test", "src"] : chosen);
  const tempRoot = await makeTempRoot();
  process.env[TEMP_ROOT_VARIABLE] = tempRoot;
  process.env.PATH = [join(TOP, "node_modules/.bin"), process.env.PATH].join(delimiter);
  try {
    const problems = [...(await runFiles(files)), ...(await endLeftovers(tempRoot))];
    for (const problem of problems) process.stderr.write(`tests: ${problem}\n`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    await rm(tempRoot, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function findTestFiles(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const absolute = resolve(TOP, path);
      if (!(await stat(absolute)).isDirectory()) return [absolute];
      const entries = await readdir(absolute, { recursive: true });
      return entries
        .filter((entry) => entry.endsWith(".test.ts") && !entry.includes("node_modules"))
        .toSorted()
        .map((entry) => join(absolute, entry));
    }),
  );
  return found.flat();
}

/** One folder for all that the run writes. Others may enter it: servers that root's tests start run as another user. */
async function makeTempRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  await chmod(root, 0o755);
  return root;
}

/** Runs the files and returns what was wrong, as sentences; the reporter has named failed tests already. */
async function runFiles(files: readonly string[]): Promise<string[]> {
  const watchdog = new AbortController();
  const events = run({
    files,
    concurrency: availableParallelism() + WAITING_FILES,
    timeout: TEST_TIMEOUT_MS,
    signal: watchdog.signal,
  });
  const running = new Set<string>();
  let lastEventAtMs = performance.now();
  let counts = { tests: 0, failed: 0, cancelled: 0 };
  events.on("test:dequeue", (event) => event.name === event.file && running.add(event.name));
  events.on("test:complete", (event) => running.delete(event.name));
  events.on("test:summary", (event) => {
    if (event.file === undefined) counts = { ...event.counts, failed: event.success ? 0 : 1 };
  });
  for (const type of ["test:dequeue", "test:complete"] as const)
    events.on(type, () => (lastEventAtMs = performance.now()));
  const timer = setInterval(() => {
    if (performance.now() - lastEventAtMs > SILENCE_MAX_MS) watchdog.abort(new Error(stuckMessage(running)));
  }, SILENCE_CHECK_INTERVAL_MS);
  try {
    for await (const text of events.compose(new spec())) process.stdout.write(String(text));
  } finally {
    clearInterval(timer);
  }
  const problems: string[] = [];
  if (counts.tests === 0) problems.push("no test ran");
  if (counts.failed > 0 || counts.cancelled > 0) problems.push("not all tests passed");
  if (watchdog.signal.aborted) problems.push(String(watchdog.signal.reason));
  return problems;
}

function stuckMessage(running: ReadonlySet<string>): string {
  const names = [...running].map((file) => relative(TOP, file)).join(", ");
  return `no test ended for ${SILENCE_MAX_MS / 1000} s, and these files' processes are still running: ${names}`;
}

/** Waits for the processes of the run to end, ends those that don't, and names them. */
async function endLeftovers(tempRoot: string): Promise<string[]> {
  const leftovers = await waitForNoProcess(tempRoot, LEFTOVER_GRACE_MS);
  // PostgreSQL's immediate shutdown: a SIGKILL to the postmaster alone would leave its children and shared memory.
  for (const { pid } of leftovers) signalProcess(pid, "SIGQUIT");
  if (leftovers.length > 0)
    for (const { pid } of await waitForNoProcess(tempRoot, LEFTOVER_GRACE_MS)) signalProcess(pid, "SIGKILL");
  return leftovers.map(({ pid, command }) => `a test left process ${pid} behind: ${command}`);
}

/** The processes that are still there after `graceMs`; at once when there are none. */
async function waitForNoProcess(tempRoot: string, graceMs: number): Promise<LeftoverProcess[]> {
  const deadlineMs = performance.now() + graceMs;
  for (;;) {
    const found = await findProcessesIn(tempRoot);
    if (found.length === 0 || performance.now() > deadlineMs) return found;
    await delay(LEFTOVER_POLL_INTERVAL_MS);
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile: a server's own children go with it.
  }
}
