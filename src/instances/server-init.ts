import { execFile } from "node:child_process";
import { chown, mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { type Programs, programPath } from "../postgres/programs.ts";
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

const execute = promisify(execFile);

/**
 * Makes the server's data folder with initdb: checksums, UTF-8, bytewise collation, no password. It appears whole, by rename; what an interrupted call left is
 * removed. Answers `present` when there is one already. `programs_missing` when that one is of another major version than the definition's programs,
 * `program_failed` with initdb's last lines.
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
  const part = `${server.dataFolder}.part`;
  await rm(part, { recursive: true, force: true });
  await makePassage(dirname(part));
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
  try {
    await execute(programPath(server.programs, "initdb"), options, {
      ...spawnIdentity(server.user),
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      timeout: INITDB_TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new TidemarkError(
      "program_failed",
      `Cannot make the data folder of server "${server.name}": ${lastLines(error)}`,
      {
        cause: error,
        hint: `Look at the disk that holds "${dirname(folder)}": space, permissions.`,
      },
    );
  }
}

/** Bytewise order: it never changes with the system's libraries, so an index stays valid wherever a backup is restored. */
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

function lastLines(error: unknown): string {
  const text = error instanceof Error && "stderr" in error && typeof error.stderr === "string" ? error.stderr : "";
  return text.trim().split("\n").slice(-ERROR_LINES).join("\n") || String(error);
}
