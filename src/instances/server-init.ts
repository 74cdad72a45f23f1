import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, readFile, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { type Programs, programPath } from "../postgres/programs.ts";
import { signalProcess } from "./processes.ts";
import { type ServerDefinition, SUPERUSER } from "./server-definition.ts";
import { makePassage, syncFolder } from "./server-files.ts";
import { spawnIdentity } from "./service-user.ts";

/** initdb takes seconds; a loaded machine with a slow disk, minutes. */
const INITDB_TIMEOUT_MS = 300_000;
const LOCALE_TIMEOUT_MS = 10_000;
/** The first major with a collation provider of its own, which no update of the system changes. */
const BUILTIN_LOCALE_MAJOR = 17;
const PRIVATE_FOLDER_MODE = 0o700;
const ERROR_LINES = 12;
const OUTPUT_CHARACTERS_MAX = 8_192;
const PART_MARK = ".part-";
/** Processes that are just ending may still add a file to a folder while it is removed. */
const REMOVAL_RETRIES = { maxRetries: 5, retryDelay: 200 } as const;

const execute = promisify(execFile);

/**
 * Makes the server's data folder with initdb: checksums, UTF-8, bytewise collation, no password. It appears whole, by
 * rename; what an interrupted call left is removed. Answers `present` when there is one already. `programs_missing`
 * when that one is of another major version than the definition's programs, `program_failed` with initdb's last lines.
 */
export async function initServer(
  server: ServerDefinition,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<"made" | "present"> {
  const existing = await dataMajor(server.dataFolder);
  if (existing !== undefined) {
    requireMajor(server, existing);
    return "present";
  }
  await makePassage(dirname(server.dataFolder));
  await removeParts(server.dataFolder);
  // A name of its own for each attempt: an initdb that outlived a killed platform may still write into an earlier one.
  const part = `${server.dataFolder}${PART_MARK}${randomBytes(4).toString("hex")}`;
  await mkdir(part, { mode: PRIVATE_FOLDER_MODE });
  if (server.user.isSwitchedFromRoot) await chown(part, server.user.uid, server.user.gid);
  await runInitdb(server, part, signal);
  await rename(part, server.dataFolder);
  await syncFolder(dirname(server.dataFolder));
  return "made";
}

/** Major version of a data folder by its PG_VERSION; undefined where there is no data folder. */
export async function dataMajor(dataFolder: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(join(dataFolder, "PG_VERSION"), "utf8"), 10);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function requireMajor(server: ServerDefinition, major: number): void {
  if (major === server.programs.major) return;
  throw new TidemarkError(
    "programs_missing",
    `Cannot run server "${server.name}" with PostgreSQL ${server.programs.version}: its data is of PostgreSQL ${major}`,
    {
      hint: `Install PostgreSQL ${major} (Debian, Ubuntu: sudo apt-get install -y --no-install-recommends postgresql-${major}).`,
    },
  );
}

async function removeParts(dataFolder: string): Promise<void> {
  const names = await readdir(dirname(dataFolder));
  const parts = names.filter((name) => name.startsWith(`${basename(dataFolder)}${PART_MARK}`));
  for (const name of parts) {
    await rm(join(dirname(dataFolder), name), { recursive: true, force: true, ...REMOVAL_RETRIES });
  }
}

async function runInitdb(server: ServerDefinition, folder: string, signal: AbortSignal | undefined): Promise<void> {
  const options = [
    `--pgdata=${folder}`,
    `--username=${SUPERUSER}`,
    "--data-checksums",
    "--encoding=UTF8",
    ...(await localeOptions(server.programs)),
    "--auth-local=peer",
    "--auth-host=reject",
    "--no-instructions",
  ];
  const deadline = AbortSignal.timeout(INITDB_TIMEOUT_MS);
  const ending = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  const { exitCode, lastLines } = await runInGroup(programPath(server.programs, "initdb"), options, {
    ...spawnIdentity(server.user),
    signal: ending,
  });
  if (exitCode === 0) return;
  await rm(folder, { recursive: true, force: true, ...REMOVAL_RETRIES });
  signal?.throwIfAborted();
  const outcome = deadline.aborted ? `not done after ${INITDB_TIMEOUT_MS / 1000} s` : `exit code ${exitCode}`;
  throw new TidemarkError(
    "program_failed",
    `Cannot make the data folder of server "${server.name}": initdb: ${outcome}\n${lastLines}`,
    { hint: `Look at the disk that holds "${dirname(folder)}": space, permissions.` },
  );
}

/**
 * Runs a program and the processes that it starts; the signal ends them all, and this resolves when they have ended.
 * Null: ended by a signal.
 */
async function runInGroup(
  program: string,
  options: readonly string[],
  { uid, gid, signal }: { readonly uid?: number; readonly gid?: number; readonly signal: AbortSignal },
): Promise<{ readonly exitCode: number | null; readonly lastLines: string }> {
  const child = spawn(program, options, {
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
    cwd: "/",
    detached: true,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  child.stderr
    .setEncoding("utf8")
    .on("data", (text: string) => (output = (output + text).slice(-OUTPUT_CHARACTERS_MAX)));
  await once(child, "spawn");
  const endGroup = (): void => {
    if (child.pid !== undefined) signalProcess(-child.pid, "SIGKILL");
  };
  signal.addEventListener("abort", endGroup, { once: true });
  if (signal.aborted) endGroup();
  try {
    // "close" follows when the last process that holds the output has ended, not only the first one.
    const [exitCode] = (await once(child, "close")) as [number | null];
    return { exitCode, lastLines: output.trim().split("\n").slice(-ERROR_LINES).join("\n") };
  } finally {
    signal.removeEventListener("abort", endGroup);
  }
}

/**
 * Bytewise order: it never changes with the system's libraries, so an index stays valid wherever a backup is restored.
 */
async function localeOptions(programs: Programs): Promise<string[]> {
  if (programs.major >= BUILTIN_LOCALE_MAJOR) {
    return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
  }
  return (await hasUtf8Locale()) ? ["--locale=C.UTF-8"] : ["--locale=C"];
}

async function hasUtf8Locale(): Promise<boolean> {
  const { stdout } = await execute("locale", ["-a"], { timeout: LOCALE_TIMEOUT_MS }).catch(() => ({ stdout: "" }));
  return stdout.split("\n").some((name) => /^C\.utf-?8$/i.test(name));
}
