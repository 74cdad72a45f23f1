import assert from "node:assert/strict";
import { test } from "node:test";
import { TidemarkError } from "../core/errors.ts";
import { errorLines } from "./error-lines.ts";
import { formatMaintenanceWindow } from "./maintenance-text.ts";
import { printable } from "./output.ts";
import { renderProgressBar } from "./progress-bar.ts";
import { replyError } from "./reply-error.ts";
import { formatSizeBinary, formatSizeSi } from "./size-text.ts";
import { renderFacts, renderTable } from "./table.ts";

test("formatSizeSi() rounds as the backup list shows sizes", () => {
  const shown = [0, 999, 1000, 1549, 9949, 9950, 12_345, 142_706, 999_499, 999_500, 999_950, 2.5e9, 1e18].map((size) =>
    formatSizeSi(size),
  );
  const expected = [
    "0 B",
    "999 B",
    "1.0 kB",
    "1.5 kB",
    "9.9 kB",
    "10 kB",
    "12 kB",
    "143 kB",
    "999 kB",
    "1.0 MB",
    "1.0 MB",
    "2.5 GB",
    "1.0 EB",
  ];
  assert.deepEqual(shown, expected);
});

test("formatSizeBinary() has two decimals and never 1024 of a unit", () => {
  const shown = [0, 1023, 142_706, 1_048_575, 10_003_415, 2 ** 40].map((size) => formatSizeBinary(size));
  assert.deepEqual(shown, ["0 B", "1023 B", "139.36 KiB", "1.00 MiB", "9.54 MiB", "1.00 TiB"]);
});

test("renderProgressBar() fills the width at any state", () => {
  const done = renderProgressBar({ doneBytes: 142_706, totalBytes: 142_706, bytesPerSecond: null }, 76);
  assert.equal(done, `139.36 KiB / 139.36 KiB [${"-".repeat(36)}] 100.00% ? p/s`);
  const running = renderProgressBar({ doneBytes: 75, totalBytes: 100, bytesPerSecond: 2_495_610 }, 50);
  assert.equal(running, "75 B / 100 B [---------->____] 75.00% 2.38 MiB p/s");
  const unknown = renderProgressBar({ doneBytes: 75, totalBytes: null, bytesPerSecond: null }, 30);
  assert.equal(unknown, `75 B [${"_".repeat(14)}] ?% ? p/s`);
  for (const line of [running, unknown, done]) assert.ok(line.length <= 76);
});

test("renderProgressBar() leaves the bar out where there is no room, and keeps within the width", () => {
  for (let columns = 1; columns < 60; columns++) {
    const line = renderProgressBar({ doneBytes: 5, totalBytes: 100_000, bytesPerSecond: 5 }, columns);
    assert.ok(line.length <= columns, `${line.length} > ${columns}`);
  }
});

test("renderTable() draws ASCII with a centred header", () => {
  const table = renderTable(
    ["ID", "Created At", "Size", "Status"],
    [["65710b0a99c3cd23d455edee", "Thu, 07 Dec 2023 01:00:10 CEST", "143 kB", "done"]],
  );
  assert.deepEqual(table.split("\n"), [
    "+--------------------------+--------------------------------+--------+--------+",
    "|            ID            |           CREATED AT           |  SIZE  | STATUS |",
    "+--------------------------+--------------------------------+--------+--------+",
    "| 65710b0a99c3cd23d455edee | Thu, 07 Dec 2023 01:00:10 CEST | 143 kB | done   |",
    "+--------------------------+--------------------------------+--------+--------+",
  ]);
});

test("renderTable() closes an empty table, and renderFacts() has no header", () => {
  assert.equal(renderTable(["ID"], []), "+----+\n| ID |\n+----+");
  assert.equal(renderFacts([["Plan", "x"]]), "+------+---+\n| Plan | x |\n+------+---+");
});

test("printable() takes what steers a terminal away", () => {
  assert.equal(printable("a\u001B[31mred\u001B[0m\u0007\r\u009B2Jb\tc\nd"), "aredb\tc\nd");
});

test("errorLines() shows each status of the API as its users know it", () => {
  const lines = (status: number, body: object): string[] => errorLines(replyError(status, { ...body })).message;
  assert.deepEqual(lines(400, { error: "one\ntwo" }), ["400 Bad Request → one", "two"]);
  assert.deepEqual(lines(403, { error: "owner only" }), ["Request forbidden (403): owner only"]);
  assert.deepEqual(lines(404, { error: "no app" }), ["no app"]);
  assert.deepEqual(lines(409, { error: "runs" }), ["409 Conflict → runs"]);
  assert.deepEqual(lines(429, { error: "wait" }), ["429 Too Many Requests → wait"]);
  assert.deepEqual(lines(502, {}), ["The platform answered 502 Bad Gateway"]);
  const fields = { name: ["is taken", "is long"], email: ["is empty"] };
  assert.deepEqual(lines(422, { errors: fields }), [
    "422 Unprocessable Content",
    "* email → is empty",
    "* name → is taken, is long",
  ]);
});

test("replyError() keeps code and details, and takes the hint out of the text", () => {
  const body = { error: "A backup runs. Wait for it.", hint: "Wait for it.", code: "backup_running", backup_id: "b1" };
  const error = replyError(409, body);
  assert.ok(error instanceof TidemarkError);
  assert.equal(error.code, "backup_running");
  assert.equal(error.message, "A backup runs");
  assert.equal(error.hint, "Wait for it.");
  assert.equal(error.details?.["backup_id"], "b1");
  assert.equal(replyError(409, { code: "toString" }).code, "conflict", "a code that the table doesn't have");
});

test("formatMaintenanceWindow() shows the next window in the zone's time", () => {
  const kolkata = { at: () => ({ offsetSeconds: 19_800, abbreviation: "IST" }) };
  const window = { weekday_utc: 2, starting_hour_utc: 22, duration_in_hour: 8 };
  const now = new Date("2026-11-22T14:00:00Z");
  const utc = { at: () => ({ offsetSeconds: 0, abbreviation: "UTC" }) };
  assert.equal(formatMaintenanceWindow(window, { now, zone: utc }), "Tuesdays at 22:00 (08 hours)");
  assert.equal(formatMaintenanceWindow(window, { now, zone: kolkata }), "Wednesdays at 03:30 (08 hours)");
});
