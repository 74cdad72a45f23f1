import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { findProcessesIn } from "./harness/leftover-processes.ts";
import { TOP } from "./harness/source-files.ts";
import { makeTempFolder } from "./harness/temp-folder.ts";

/** Runs `scripts/test.ts` over one test file of this text, away from the run that this test belongs to. */
async function runTests(
  t: TestContext,
  text: string,
): Promise<{ exitCode: number | null; output: string; folder: string }> {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, "suite"));
  if (text !== "") await writeFile(join(folder, "suite/one.test.ts"), text);
  // node:test refuses to run inside itself as long as it sees this variable.
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const child = spawn(process.execPath, [join(TOP, "scripts/test.ts"), join(folder, "suite")], {
    cwd: TOP,
    env: { ...environment, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
    signal: t.signal,
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (output += part));
  child.stderr.setEncoding("utf8").on("data", (part: string) => (output += part));
  await once(child, "close");
  return { exitCode: child.exitCode, output, folder };
}

test("scripts/test.ts exits 0 and counts the tests when all pass", async (t) => {
  const { exitCode, output } = await runTests(
    t,
    'import { test } from "node:test"; test("a", () => {}); test("b", () => {});',
  );
  assert.equal(exitCode, 0, output);
  assert.match(output, /tests 2\n/);
});

test("scripts/test.ts exits 1 when a test fails", async (t) => {
  const { exitCode, output } = await runTests(
    t,
    'import { test } from "node:test"; test("a", () => { throw new Error("no"); });',
  );
  assert.equal(exitCode, 1, output);
  assert.match(output, /not all tests passed/);
});

test("scripts/test.ts exits 1 when a file can't be loaded", async (t) => {
  const { exitCode, output } = await runTests(t, 'import "./missing.ts";');
  assert.equal(exitCode, 1, output);
});

test("scripts/test.ts exits 1 when there is no test", async (t) => {
  const { exitCode, output } = await runTests(t, "");
  assert.equal(exitCode, 1, output);
  assert.match(output, /no test ran/);
});

test("scripts/test.ts exits 1, ends the process and names it when a test leaves one behind", async (t) => {
  const { exitCode, output, folder } = await runTests(
    t,
    `import { test } from "node:test"; import { spawn } from "node:child_process";
     test("leaves", () => {
       const idle = ["-e", "setInterval(() => {}, 1000)", "left-behind"];
       spawn(process.execPath, idle, { cwd: process.env.TIDEMARK_TEST_TEMP, detached: true, stdio: "ignore" }).unref();
     });`,
  );
  assert.equal(exitCode, 1, output);
  assert.match(output, /left process \d+ behind: .*left-behind/);
  assert.deepEqual(await findProcessesIn(folder), []);
});
