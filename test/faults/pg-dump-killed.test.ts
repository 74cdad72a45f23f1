import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { isErrorCode } from "../../src/core/errors.ts";
import { code } from "../contract/store.ts";
import { makeCapturePlace } from "../harness/logical-capture.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";

const run = promisify(execFile);

/** Far more than a pipe and our blocks hold, so that a dump whose first bytes have come is still running. */
const MANY_ROWS =
  "CREATE TABLE many AS SELECT n, repeat(md5(n::text), 10) AS text FROM generate_series(1, 200000) AS n";

const server = await startPostgresServer({ after });
await server.query(MANY_ROWS);

/** Ids of the pg_dump processes that this process has started. */
function dumpProcesses(): number[] {
  const lines = execFileSync("ps", ["--ppid", String(process.pid), "-o", "pid=,comm="], { encoding: "utf8" }).split(
    "\n",
  );
  return lines.filter((line) => line.trim().endsWith("pg_dump")).map((line) => Number.parseInt(line, 10));
}

test("captureLogicalBackup() fails with dump_failed when pg_dump is killed in mid-dump, and the next attempt succeeds", async (context) => {
  const place = await makeCapturePlace(context, server);
  const backupId = "0".repeat(24);
  let killed = 0;
  const capturing = place.capture(
    { backupId },
    {
      onProgress() {
        for (const pid of killed === 0 ? dumpProcesses() : []) {
          process.kill(pid, "SIGKILL");
          killed++;
        }
      },
    },
  );
  await assert.rejects(capturing, (error) => {
    assert.ok(isErrorCode(error, "dump_failed"), String(error));
    assert.match(error.message, /SIGKILL/);
    return true;
  });
  assert.equal(killed, 1);
  assert.deepEqual(await place.keys(), []);
  assert.equal((await place.capture({ backupId })).dump.tablesWithData, 1);
});

test("captureLogicalBackup() fails when the server is killed in mid-dump, and leaves nothing", async (context) => {
  const doomed = await startPostgresServer(context);
  await doomed.query(MANY_ROWS);
  const place = await makeCapturePlace(context, doomed);
  let killing: Promise<unknown> | undefined;
  const capturing = place.capture({}, { onProgress: () => (killing ??= killAll(doomed.dataFolder, doomed)) });
  await assert.rejects(capturing, code("dump_failed"));
  await killing;
  assert.deepEqual(await place.keys(), []);
  assert.deepEqual(dumpProcesses(), []);
});

/** kill -9 of the postmaster and of all its children at once, as when the machine dies. */
async function killAll(dataFolder: string, doomed: { signal(name: NodeJS.Signals): Promise<unknown> }): Promise<void> {
  const { stdout } = await run("head", ["-1", `${dataFolder}/postmaster.pid`]);
  const postmaster = stdout.trim();
  const children = await run("ps", ["--ppid", postmaster, "-o", "pid="]);
  const exit = doomed.signal("SIGKILL");
  for (const pid of children.stdout.split("\n").filter((line) => line.trim() !== "")) kill(Number(pid));
  await exit;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // it was gone already
  }
}
