import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, readdir, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { TidemarkError } from "../core/errors.ts";

/** One installation of PostgreSQL's programs. */
export interface Programs {
  /** 15, 16, ... */
  readonly major: number;
  /** `15.18`, as `postgres --version` says it, without the packager's words. */
  readonly version: string;
  readonly binFolder: string;
  /** It has no pg_dump, pg_restore or psql: it can run servers, not back them up logically. */
  readonly isServerOnly: boolean;
}

export interface ProgramSearch {
  /** The operator's own choice (`TIDEMARK_POSTGRESQL_BIN`): comes before anything found, whatever its version. */
  readonly namedFolder?: string;
  /** The caller's PATH. */
  readonly path: string;
}

/** The oldest major whose BASE_BACKUP protocol and roles the platform is built on. */
export const OLDEST_MAJOR = 15;

const SERVER_PROGRAMS = ["postgres", "initdb"] as const;
const CLIENT_PROGRAMS = ["pg_dump", "pg_restore", "psql"] as const;

/** `postgres --version` and `pg_config --bindir` answer within milliseconds; this only bounds a broken installation. */
const QUESTION_TIMEOUT_MS = 10_000;

/** Where packagers put one folder a version: Debian, RPMs of the PostgreSQL project, Postgres.app. */
const VERSIONED_PARENTS = [
  { parent: "/usr/lib/postgresql", child: /^\d+$/, bin: "bin" },
  { parent: "/usr", child: /^pgsql-\d+$/, bin: "bin" },
  { parent: "/opt/homebrew/opt", child: /^postgresql@\d+$/, bin: "bin" },
  { parent: "/usr/local/opt", child: /^postgresql@\d+$/, bin: "bin" },
  { parent: "/Applications/Postgres.app/Contents/Versions", child: /^\d+$/, bin: "bin" },
] as const;

/** What to type where PostgreSQL is missing. */
export const INSTALL_LINES = {
  debian: "sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql",
  fedora: "sudo dnf install -y postgresql-server postgresql-contrib",
  macos: "brew install postgresql@17",
} as const;

export const INSTALL_HINT = [
  "Install PostgreSQL 15 or later:",
  `  Debian, Ubuntu: ${INSTALL_LINES.debian}`,
  `  Fedora:         ${INSTALL_LINES.fedora}`,
  `  macOS:          ${INSTALL_LINES.macos}`,
  "or name the folder of its programs in TIDEMARK_POSTGRESQL_BIN.",
].join("\n");

const execute = promisify(execFile);

/**
 * Every installation of PostgreSQL 15 or later on this machine, newest major first, one a folder; the operator's own
 * comes before all. Empty when there is none. `config_invalid` when the named folder holds no usable installation.
 */
export async function findPrograms(search: ProgramSearch): Promise<Programs[]> {
  const named = search.namedFolder === undefined ? undefined : await namedInstallation(search.namedFolder);
  const folders = await candidateFolders(search.path);
  const inspected = await Promise.all(folders.map((folder) => inspect(folder)));
  const distinct = new Map(inspected.filter((each) => each !== undefined).map((each) => [each.binFolder, each]));
  const found = [...distinct.values()]
    .filter((programs) => programs.major >= OLDEST_MAJOR && programs.binFolder !== named?.binFolder)
    .sort((a, b) => b.major - a.major);
  return named === undefined ? found : [named, ...found];
}

/**
 * The installation to use: the first, or the first of the wanted major. A server-only one is passed over unless there
 * is no other. `programs_missing` with the line that installs it.
 */
export function choosePrograms(found: readonly Programs[], major?: number): Programs {
  const suitable = found.filter((programs) => major === undefined || programs.major === major);
  const chosen = suitable.find((programs) => !programs.isServerOnly) ?? suitable[0];
  if (chosen !== undefined) return chosen;
  if (major === undefined) {
    throw new TidemarkError("programs_missing", "Cannot find PostgreSQL 15 or later on this machine", {
      hint: INSTALL_HINT,
    });
  }
  throw new TidemarkError("programs_missing", `Cannot find the programs of PostgreSQL ${major} on this machine`, {
    hint: `Install them (Debian, Ubuntu: sudo apt-get install -y --no-install-recommends postgresql-${major}), or name their folder in TIDEMARK_POSTGRESQL_BIN.`,
  });
}

/** Path of one program of the installation. `programs_missing` for a client program of a server-only one. */
export function programPath(
  programs: Programs,
  name: (typeof SERVER_PROGRAMS)[number] | (typeof CLIENT_PROGRAMS)[number],
): string {
  if (programs.isServerOnly && CLIENT_PROGRAMS.some((client) => client === name)) {
    throw new TidemarkError("programs_missing", `Cannot find ${name} of PostgreSQL ${programs.major}`, {
      hint: `"${programs.binFolder}" has the server only. Install the client programs (Debian, Ubuntu: sudo apt-get install -y postgresql-client-${programs.major}).`,
    });
  }
  return join(programs.binFolder, name);
}

/** Version of an installation as it is now, after an update of its package say; undefined while it doesn't run. */
export async function readProgramsVersion(programs: Programs): Promise<string | undefined> {
  return await askVersion(join(programs.binFolder, "postgres"));
}

async function namedInstallation(folder: string): Promise<Programs> {
  const programs = await inspect(folder);
  if (programs === undefined) {
    throw new TidemarkError(
      "config_invalid",
      `TIDEMARK_POSTGRESQL_BIN is "${folder}", which has no postgres and initdb`,
      {
        hint: "Name the folder that holds PostgreSQL's programs, such as /usr/lib/postgresql/15/bin.",
      },
    );
  }
  if (programs.major < OLDEST_MAJOR) {
    throw new TidemarkError(
      "config_invalid",
      `TIDEMARK_POSTGRESQL_BIN is "${folder}", which holds PostgreSQL ${programs.version}`,
      {
        hint: `Name the folder of PostgreSQL ${OLDEST_MAJOR} or later.`,
      },
    );
  }
  return programs;
}

/** Folders that may hold an installation: packagers' places, pg_config's answer, PATH. Real paths, each once. */
async function candidateFolders(path: string): Promise<string[]> {
  const onPath = path.split(delimiter).filter((folder) => folder !== "");
  const versioned = await Promise.all(VERSIONED_PARENTS.map((place) => versionedFolders(place)));
  const told = await Promise.all(onPath.map((folder) => askPgConfig(join(folder, "pg_config"))));
  const all = [...versioned.flat(), ...told.filter((folder) => folder !== undefined), ...onPath];
  const real = await Promise.all(all.map((folder) => realpath(folder).catch(() => undefined)));
  return [...new Set(real.filter((folder) => folder !== undefined))];
}

async function versionedFolders({ parent, child, bin }: (typeof VERSIONED_PARENTS)[number]): Promise<string[]> {
  // A machine has few of these folders; one that is absent or closed to us simply offers nothing.
  const names = await readdir(parent).catch(() => []);
  return names.filter((name) => child.test(name)).map((name) => join(parent, name, bin));
}

async function askPgConfig(program: string): Promise<string | undefined> {
  if (!(await isExecutable(program))) return undefined;
  try {
    const { stdout } = await execute(program, ["--bindir"], { timeout: QUESTION_TIMEOUT_MS });
    return stdout.trim();
  } catch {
    // Debian ships a pg_config that only says which package to install: not an installation.
    return undefined;
  }
}

async function inspect(folder: string): Promise<Programs | undefined> {
  // Folders of links (/usr/local/bin, Homebrew's bin) lead to the one that holds the whole installation.
  const program = await realpath(join(folder, "postgres")).catch(() => undefined);
  if (program === undefined) return undefined;
  const binFolder = dirname(program);
  if (!(await haveAll(binFolder, SERVER_PROGRAMS))) return undefined;
  const version = await askVersion(program);
  if (version === undefined) return undefined;
  const isServerOnly = !(await haveAll(binFolder, CLIENT_PROGRAMS));
  return { major: Number.parseInt(version, 10), version, binFolder, isServerOnly };
}

/** `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; undefined where the program doesn't run here. */
async function askVersion(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await execute(program, ["--version"], { timeout: QUESTION_TIMEOUT_MS });
    return /^postgres \(PostgreSQL\) (\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

async function haveAll(folder: string, names: readonly string[]): Promise<boolean> {
  const present = await Promise.all(names.map((name) => isExecutable(join(folder, name))));
  return present.every(Boolean);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
