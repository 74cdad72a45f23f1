import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify, stripVTControlCharacters } from "node:util";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { type Platform, startPlatform } from "../harness/platform.ts";
import { TOP } from "../harness/source-files.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const ON_DATABASE = ["--app", "my-app", "--addon", "postgresql"];
/** A zone with two abbreviations, both known to everybody. */
const IN_PARIS = { TZ: "Europe/Paris" };
const WEEKDAY = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const DATE = `${WEEKDAY}, \\d{2} ${MONTH} 20\\d{2} \\d{2}:\\d{2}:\\d{2} CES?T`;

/** What scripts and eyes are used to: these lines are as the original's documentation shows them. */
describe("the lines that users know", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let resourceId = "";

  before(async () => {
    platform = await startPlatform(cleanUps);
    ({ resourceId } = await platform.provision("my-app"));
    await platform.runOk([...ON_DATABASE, "backups-create"]);
  });
  after(() => cleanUps.run());

  test("backups-create ends with one line in a pipe, and with the same line on a terminal", async (t) => {
    assert.equal(await platform.runOk([...ON_DATABASE, "backups-create"]), "-----> Backup successfully finished\n");
    const shown = await onTerminal([...ON_DATABASE, "backups-create"], await makeTempFolder(t));
    assert.equal(shown.exitCode, 0, shown.text);
    assert.match(shown.text, /(^|\n)-----> Backup successfully finished\n$/);
  });

  test("backups-config answers with the hour of the local zone", async () => {
    const config = async (...options: string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await platform.run([...ON_DATABASE, "backups-config", ...options], {
        environment: IN_PARIS,
      });
      assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
      return stdout.slice(0, stdout.indexOf("\n"));
    };
    assert.match(await config("--schedule-at", "6"), /^-----> Periodic backups will be done daily at 6:00 CES?T$/);
    assert.match(
      await config("--schedule-at", "4:00 UTC"),
      /^-----> Periodic backups will be done daily at [56]:00 CES?T$/,
    );
    assert.equal(await config("--unschedule", "--yes"), "-----> Periodic backups are disabled");
  });

  test("backups prints a table in ASCII, newest first, with dates in the local zone and SI sizes", async () => {
    const { exitCode, stdout, stderr } = await platform.run([...ON_DATABASE, "backups"], { environment: IN_PARIS });
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
    const [top = "", header = "", middle = "", ...rest] = stdout.trimEnd().split("\n");
    const rows = rest.slice(0, -1);
    assert.match(top, /^\+-{26}\+-{31}\+-+\+-{8}\+$/);
    assert.match(header, /^\| +ID +\| +CREATED AT +\| +SIZE +\| +STATUS +\|$/);
    assert.deepEqual([middle, rest.at(-1)], [top, top]);
    assert.ok(rows.length >= 1);
    const row = new RegExp(`^\\| [0-9a-f]{24} \\| ${DATE} +\\| \\d+(\\.\\d)? k?B +\\| done   \\|$`);
    for (const line of rows) assert.match(line, row);
    const ids = rows.map((line) => line.slice(2, 26));
    assert.deepEqual(ids, ids.toSorted().toReversed());
  });

  test("backups-download prints its two lines in a pipe, and the file is named after start and resource id", async (t) => {
    const folder = await makeTempFolder(t);
    const { exitCode, stdout, stderr } = await platform.run([...ON_DATABASE, "backups-download"], { folder });
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
    const [file = ""] = await readdir(folder);
    assert.equal(stdout, `-----> Selected the most recent successful backup\n===> ${file}\n`);
    assert.match(file, new RegExp(`^20\\d{12}_${resourceId}\\.tar\\.gz$`));
    const startedAt = Temporal.PlainDateTime.from(file.slice(0, 14).replace(/^(\d{8})/, "$1T")).toZonedDateTime("UTC");
    const ageMs = Date.now() - startedAt.epochMilliseconds;
    assert.ok(ageMs > -2000 && ageMs < 600_000, `${file} is not named after a moment in UTC`);
  });

  test("backups-download --backup prints the one line of the file", async (t) => {
    const folder = await makeTempFolder(t);
    const id = /[0-9a-f]{24}/.exec(await platform.runOk([...ON_DATABASE, "backups"]))?.[0] ?? "";
    const printed = await platform.runOk([...ON_DATABASE, "backups-download", "--backup", id], { folder });
    assert.equal(printed, `===> ${(await readdir(folder))[0]}\n`);
  });

  test("backups-download draws a bar on a terminal that ends at 100 percent", async (t) => {
    const folder = await makeTempFolder(t);
    const { exitCode, text } = await onTerminal([...ON_DATABASE, "backups-download"], folder);
    assert.equal(exitCode, 0, text);
    const [selected, bar, file, ...more] = text.trimEnd().split("\n");
    assert.equal(selected, "-----> Selected the most recent successful backup");
    assert.match(bar ?? "", /^(\d+\.\d\d [KM]iB|\d+ B) \/ \1 \[-+\] 100\.00% (\?|\d+(\.\d\d)? ([KMG]i)?B) p\/s$/);
    assert.deepEqual([file, more], [`===> ${(await readdir(folder))[0]}`, []]);
  });

  test("backups-download --output - is the archive alone, and --silent prints nothing", async (t) => {
    const folder = await makeTempFolder(t);
    const script = `"$0" "$1" ${ON_DATABASE.join(" ")} backups-download --output - | tar -tz`;
    const { stdout } = await run("bash", ["-o", "pipefail", "-c", script, process.execPath, join(TOP, "src/main.ts")], {
      cwd: folder,
      env: platform.environment,
    });
    assert.match(stdout, new RegExp(`^(20\\d{12}_${resourceId})/\\n\\1/\\1\\.pgsql\\n$`));
    const silent = await platform.run([...ON_DATABASE, "backups-download", "--silent"], { folder });
    assert.deepEqual(silent, { exitCode: 0, stdout: "", stderr: "" });
    assert.equal((await readdir(folder)).length, 1);
  });

  /** What a terminal shows at the end, without colours and with each line as it was drawn last. */
  async function onTerminal(
    args: readonly string[],
    folder: string,
  ): Promise<{ exitCode: number | null; text: string }> {
    const command = [process.execPath, join(TOP, "src/main.ts"), ...args].map((word) => `'${word}'`).join(" ");
    const terminal = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
      cwd: folder,
      env: { ...platform.environment, TERM: "xterm", SHELL: "/bin/sh" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let written = "";
    terminal.stdout.setEncoding("utf8").on("data", (text: string) => (written += text));
    await once(terminal, "close");
    const lines = stripVTControlCharacters(written.replaceAll("\r\n", "\n")).split("\n");
    return { exitCode: terminal.exitCode, text: lines.map((line) => line.split("\r").at(-1)).join("\n") };
  }
});
