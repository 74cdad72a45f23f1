import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { findProcessesIn } from "./leftover-processes.ts";
import { makeTempFolder } from "./temp-folder.ts";

test("findProcessesIn() names a process that works below the folder, and no other", async (t) => {
  const folder = await makeTempFolder(t);
  const other = await makeTempFolder(t);
  const script = "process.stdout.write('up'); setInterval(() => {}, 1000)";
  const child = spawn(process.execPath, ["-e", script], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");

  const found = await findProcessesIn(folder);
  assert.deepEqual(
    found.map((entry) => entry.pid),
    process.platform === "linux" ? [child.pid] : [],
  );
  assert.deepEqual(await findProcessesIn(other), []);
});

test("findProcessesIn() names a process that has the folder in its arguments only", async (t) => {
  const folder = await makeTempFolder(t);
  const script = "process.stdout.write('up'); setInterval(() => {}, 1000)";
  const child = spawn(process.execPath, ["-e", script, folder], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");

  const found = await findProcessesIn(folder);
  assert.deepEqual(
    found.map((entry) => entry.pid),
    [child.pid],
  );
});
