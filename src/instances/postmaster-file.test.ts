import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLockFile } from "./postmaster-file.ts";

const LINES = ["4711", "/var/lib/x/data", "1700000000", "5432", "/run/x", "127.0.0.1", "  123 456", "ready   "];

test("parseLockFile() reads pid, folder and state of a server that runs", () => {
  assert.deepEqual(parseLockFile(`${LINES.join("\n")}\n`), {
    pid: 4711,
    dataFolder: "/var/lib/x/data",
    state: "ready",
  });
});

test("parseLockFile() knows no state where the file ends before it, or the word is unknown", () => {
  assert.equal(parseLockFile(LINES.slice(0, 5).join("\n"))?.state, null);
  assert.equal(parseLockFile([...LINES.slice(0, 7), "dreaming"].join("\n"))?.state, null);
});

test("parseLockFile() reads the negative pid of a server without a postmaster", () => {
  assert.equal(parseLockFile(["-4711", ...LINES.slice(1)].join("\n"))?.pid, 4711);
});

test("parseLockFile() gives null for a file that is empty or cut short", () => {
  for (const text of ["", "\n", "4711", "4711\n", "x\n/data\n", "0\n/data\n"]) assert.equal(parseLockFile(text), null);
});
