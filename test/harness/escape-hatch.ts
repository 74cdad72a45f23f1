import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, cp, mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { program, serverUser } from "./postgres-server.ts";
import { markedBlocks } from "./marked-blocks.ts";
import { readText } from "./source-files.ts";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

const STOP_DEADLINE_MS = 30_000;

/** Where the repository and its master key lie, and what the page's user knows. */
export interface EscapeHatchInput {
  readonly repository: string;
  readonly masterKey: string;
  readonly databaseId: string;
  readonly superuser: string;
  /** Lines that a user changes before the server starts. */
  readonly changes?: string;
}

export interface EscapeHatchRun {
  readonly exitCode: number | null;
  readonly output: string;
  /** Rows of a query in the server that the page has started. */
  query(database: string, text: string): Promise<Record<string, unknown>[]>;
}

/**
 * Runs the commands for continuous backups of docs/operating/escape-hatch.md as an ordinary user, on copies of the repository and the key. Their server is
 * stopped when the test ends.
 */
export async function runEscapeHatch(cleanUp: CleanUp, input: EscapeHatchInput): Promise<EscapeHatchRun> {
  const removals: (() => Promise<void>)[] = [];
  const folder = await makeTempFolder({ after: (clean) => removals.push(clean) });
  // One clean-up, so that the server ends before its files go.
  cleanUp.after(async () => {
    await stopServer(folder);
    for (const remove of removals) await remove();
  });
  const user = await serverUser();
  const copy = join(folder, "copy");
  await mkdir(copy);
  await cp(input.repository, join(copy, "repository"), { recursive: true });
  await cp(input.masterKey, join(copy, "key"));
  if (user.uid !== undefined) await giveTo(folder, user);
  const blocks = markedBlocks(readText("docs/operating/escape-hatch.md"), "test continuous backups");
  const script = [...blocks.slice(0, -1), input.changes ?? "", ...blocks.slice(-1)].join("\n");
  const shell = spawn("bash", ["-e", "-u", "-o", "pipefail", "-c", script], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      TMPDIR: folder,
      REPOSITORY: join(copy, "repository"),
      MASTER_KEY: join(copy, "key"),
      DATABASE: input.databaseId,
      PROGRAMS: join(program("postgres"), ".."),
      SUPERUSER: input.superuser,
    },
    stdio: ["ignore", "pipe", "pipe"],
    ...user,
  });
  let output = "";
  for (const stream of [shell.stdout, shell.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  await once(shell, "close");
  const query = (database: string, text: string) => queryServer(folder, { user: input.superuser, database }, text);
  return { exitCode: shell.exitCode, output, query };
}

async function queryServer(
  folder: string,
  login: { readonly user: string; readonly database: string },
  text: string,
): Promise<Record<string, unknown>[]> {
  const [, , , port, host = ""] = await postmasterLines(folder);
  const client = new Client({ host, port: Number(port), ...login });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function stopServer(folder: string): Promise<void> {
  const [pid = ""] = await postmasterLines(folder);
  if (pid === "") return;
  process.kill(Number(pid), "SIGQUIT");
  const deadlineMs = performance.now() + STOP_DEADLINE_MS;
  while ((await postmasterLines(folder)).length > 0 && performance.now() < deadlineMs)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Empty when no server runs. */
async function postmasterLines(folder: string): Promise<string[]> {
  return await readFile(join(folder, "data", "postmaster.pid"), "utf8").then(
    (text) => text.split("\n"),
    () => [],
  );
}

async function giveTo(folder: string, user: { readonly uid: number; readonly gid: number }): Promise<void> {
  await chown(folder, user.uid, user.gid);
  for (const entry of await readdir(folder, { recursive: true })) await chown(join(folder, entry), user.uid, user.gid);
}
