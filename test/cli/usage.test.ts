import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { COMMANDS } from "../../src/cli/commands/all.ts";
import { createProgram } from "../../src/cli/command-tree.ts";
import { renderReference } from "../../src/cli/reference.ts";
import { runCli } from "./run-cli.ts";

/** Wrong on purpose, and never reached: a usage error is found before anything is sent. */
const NOWHERE = { TIDEMARK_URL: "http://127.0.0.1:9", TIDEMARK_TOKEN: "x" };

test("--help of the program and of every command prints examples and ends with 0", async () => {
  const overview = await runCli(["--help"]);
  assert.equal(overview.exitCode, 0);
  assert.deepEqual(await runCli([]), overview, "no arguments at all");
  for (const spec of COMMANDS) {
    assert.match(overview.stdout, new RegExp(`^  ${spec.name.split(" ")[0]}\\b`, "m"));
    const run = await runCli([...spec.name.split(" "), "--help"]);
    assert.equal(run.exitCode, 0, spec.name);
    assert.match(run.stdout, /\nExamples:\n {2}\$ /, spec.name);
    assert.equal(run.stderr, "");
  }
});

test("--version prints the version", async () => {
  for (const flag of ["--version", "-v"]) {
    assert.deepEqual(await runCli([flag]), { exitCode: 0, stdout: "0.1.0\n", stderr: "" });
  }
});

test("every command refuses an unknown option and one argument too many", async () => {
  for (const spec of COMMANDS) {
    const words = spec.name.split(" ");
    const values = (spec.arguments ?? []).map(() => "value");
    const takesAll = spec.arguments?.at(-1)?.name.includes("...") === true;
    for (const wrong of [["--nonsense"], ...(takesAll ? [] : [["one-too-many"]])]) {
      const run = await runCli([...words, ...values, ...wrong], { environment: NOWHERE });
      assert.equal(run.exitCode, 2, `${spec.name} ${wrong.join()}`);
      assert.match(run.stderr, new RegExp(`^ !     .*\\n {7}Help: tidemark ${spec.name} --help`), spec.name);
      assert.equal(run.stdout, "");
    }
  }
});

test("every command refuses a missing required argument", async () => {
  for (const spec of COMMANDS) {
    if (spec.arguments?.[0]?.name.startsWith("<") !== true) continue;
    const run = await runCli([spec.name], { environment: NOWHERE });
    assert.equal(run.exitCode, 2, spec.name);
    assert.match(run.stderr, / !     missing required argument/);
  }
});

test("commands on an app or a database say which flag is missing, before anything is sent", async () => {
  const app = " !     Unable to find the application name, please use --app flag.\n";
  const addon = " !     Unable to find the addon name, please use --addon flag.\n";
  const onDatabase = [
    "backups",
    "backups-create",
    "backups-download",
    "backups-cancel x",
    "addons-info",
    "addons-remove",
  ];
  for (const line of ["env", "env-get X", "addons", "addons-add postgresql p"]) {
    const run = await runCli(line.split(" "), { environment: NOWHERE });
    assert.deepEqual(run, { exitCode: 2, stdout: "", stderr: app }, line);
  }
  for (const line of onDatabase) {
    const run = await runCli([...line.split(" "), "--app", "my-app"], { environment: NOWHERE });
    assert.deepEqual(run, { exitCode: 2, stdout: "", stderr: addon }, line);
  }
});

test("an unknown command is answered with the nearest one", async () => {
  const run = await runCli(["backup-create"]);
  assert.equal(run.exitCode, 2);
  assert.match(run.stderr, /^ !     unknown command 'backup-create'\n[^]*backups-create/);
  const option = await runCli(["backups", "--jason"]);
  assert.match(option.stderr, /^ !     unknown option '--jason'\n[^]*--json/);
});

test("users-create wants an address", async () => {
  const run = await runCli(["users-create", "bob"], { environment: NOWHERE });
  assert.deepEqual([run.exitCode, run.stderr], [2, " !     An e-mail address is needed: --email ADDRESS\n"]);
});

test("docs/reference/cli.md is current", async () => {
  const stream = new PassThrough();
  const streams = { stdout: stream, stderr: stream };
  const program = createProgram({ version: "", streams, run: () => Promise.resolve() });
  const committed = await readFile(new URL("../../docs/reference/cli.md", import.meta.url), "utf8");
  assert.equal(committed, renderReference(program), "run: node scripts/generate-cli-reference.ts");
});
