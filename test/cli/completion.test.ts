import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { BACKUP_ID } from "../http/in-memory-services.ts";
import { openFace } from "../http/open-face.ts";
import { asAlice, instantClock, runCli } from "./run-cli.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const face = await openFace({ after });

/** A clock on which nobody's patience ends, however busy the machine is. */
const patient = {
  now: () => new Date(),
  sleep: (_durationMs: number, signal?: AbortSignal) =>
    new Promise<void>((_resolve, reject) =>
      signal?.addEventListener("abort", () => reject(new Error("stopped")), { once: true }),
    ),
};

/** What completion offers for a command line whose last word is being typed. */
async function complete(
  words: readonly string[],
  {
    environment = asAlice(face.url),
    clock = patient,
  }: Partial<Record<"environment", Record<string, string>>> & {
    clock?: typeof patient;
  } = {},
): Promise<string[]> {
  const run = await runCli(["complete", "--", ...words], { environment, options: { clock } });
  assert.deepEqual([run.exitCode, run.stderr], [0, ""]);
  const lines = run.stdout.split("\n");
  assert.equal(lines.at(-2), ":4");
  return lines.slice(0, -2).map((line) => line.split("\t")[0] ?? "");
}

test("complete offers commands by what they begin with, their options, and the words of two-word commands", async () => {
  assert.deepEqual(await complete(["collaborators-a"]), ["collaborators-add", "collaborators-accept"]);
  assert.deepEqual(await complete(["--app", "my-app", "env-g"]), ["env-get"]);
  assert.deepEqual(await complete(["owner", ""]), ["reset-password"]);
  assert.deepEqual(await complete(["backups-download", "--sil"]), ["--silent"]);
  assert.deepEqual(await complete(["no-such-command", "x"]), []);
  assert.ok((await complete([""])).includes("backups-create"));
});

test("complete asks the platform for apps, databases, backups, variables and keys", async () => {
  assert.deepEqual(await complete(["--app", ""]), ["my-app"]);
  assert.deepEqual(await complete(["--app=m"]), ["my-app"]);
  assert.deepEqual(await complete(["backups", "-a", "my"]), ["my-app"]);
  assert.deepEqual(await complete(["destroy", ""]), ["my-app"]);
  assert.deepEqual(await complete(["-a", "my-app", "backups", "--addon", ""]), ["my_app_4553"]);
  assert.deepEqual(await complete(["-a", "my-app", "backups-cancel", ""]), [BACKUP_ID]);
  assert.deepEqual(await complete(["--app=my-app", "backups-download", "--backup", ""]), [BACKUP_ID]);
  assert.deepEqual(await complete(["-a", "my-app", "env-get", "MO"]), ["MODE"]);
  assert.deepEqual(await complete(["keys-remove", ""]), ["laptop"]);
});

test("complete offers nothing, and fails at nothing, without a login, an answer, or one in time", async () => {
  assert.deepEqual(await complete(["--app", ""], { environment: {} }), []);
  assert.deepEqual(await complete(["--app", ""], { environment: asAlice("http://127.0.0.1:1") }), []);
  assert.deepEqual(await complete(["--app", ""], { clock: instantClock() }), []);
  assert.deepEqual(await complete(["-a", "other", "--addon", ""]), []);
  assert.deepEqual(await complete(["backups-cancel", ""]), []);
});

test("a real bash completes with the script that completion prints", async () => {
  const program = `
    tidemark() { ${JSON.stringify(process.execPath)} ${JSON.stringify(MAIN)} "$@"; }
    # Of the package bash-completion, which a machine of tests need not have.
    _get_comp_words_by_ref() { cur=\${COMP_WORDS[COMP_CWORD]}; prev=; cword=$COMP_CWORD; words=("\${COMP_WORDS[@]}"); }
    compopt() { :; }
    eval "$(tidemark completion bash)"
    try() { COMP_WORDS=(tidemark "$@"); COMP_CWORD=$#; COMPREPLY=(); __tidemark_complete; echo "\${COMPREPLY[*]}"; }
    try collaborators-a
    try owner ''
  `;
  const environment = { PATH: process.env["PATH"], HOME: "/nonexistent", TIDEMARK_HOME: "/nonexistent" };
  const child = spawn("bash", ["--norc", "-c", program], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  assert.deepEqual([child.exitCode, stderr], [0, ""]);
  assert.equal(stdout, "collaborators-add collaborators-accept\nreset-password\n");
});

test("completion refuses a shell that it has no script for", async () => {
  const unknown = await runCli(["completion", "tcsh"], {});
  assert.deepEqual([unknown.exitCode, unknown.stdout], [2, ""]);
});
