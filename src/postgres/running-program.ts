import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

/** After SIGTERM a program of PostgreSQL ends in milliseconds; one that hangs on a dead disk or network is ended by force after this. */
const KILL_GRACE_MS = 5_000;

/** The end of a program's error output says why it failed; a flood of warnings before it must not fill the memory. */
const ERROR_OUTPUT_CHARS = 16 * 1024;

/** What runs a program of PostgreSQL. */
export interface ProgramPlace {
  /** Folder of pg_dump and pg_restore, of the server's major version or a later one. */
  readonly programsFolder: string;
  /** User and group to run as; those of this process when absent. */
  readonly runAs?: { readonly uid: number; readonly gid: number };
}

export interface RunningProgram {
  readonly child: ChildProcess;
  /** Resolves when the process is gone, with how it ended. */
  readonly ended: Promise<ProgramEnd>;
  /** Last lines of its error output so far. */
  errorOutput(): string;
  /** Ends it if it still runs (SIGTERM, then SIGKILL) and resolves when it is gone. */
  close(): Promise<void>;
}

export interface ProgramEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Set when it never started. */
  readonly startError?: Error;
}

/** Starts a program in `/` with an environment of its own. */
export function startProgram(
  place: ProgramPlace,
  name: string,
  run: {
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly takesInput: boolean;
  },
): RunningProgram {
  const child = spawn(join(place.programsFolder, name), run.args, {
    cwd: "/", // our own folder may be closed to the user that the program runs as
    env: { LC_ALL: "C", ...run.env },
    stdio: [run.takesInput ? "pipe" : "ignore", "pipe", "pipe"],
    ...place.runAs,
  });
  let errorOutput = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errorOutput = (errorOutput + text).slice(-ERROR_OUTPUT_CHARS);
  });
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once("error", (startError) => resolve({ exitCode: null, signal: null, startError }));
    child.once("close", (exitCode, signal) => resolve({ exitCode, signal }));
  });
  return { child, ended, errorOutput: () => errorOutput.trim(), close: () => endProgram(child, ended) };
}

async function endProgram(child: ChildProcess, ended: Promise<ProgramEnd>): Promise<void> {
  child.kill("SIGTERM");
  child.stdout?.destroy(); // output that nobody reads would keep a finished program from being closed
  const force = setTimeout(() => child.kill("SIGKILL"), KILL_GRACE_MS);
  try {
    await ended;
  } finally {
    clearTimeout(force);
  }
}

/** The error for a program that did not end well, or couldn't be started. */
export function programFailure(
  code: "dump_failed" | "program_failed",
  failure: {
    readonly name: string;
    readonly place: ProgramPlace;
    readonly program: RunningProgram;
    readonly end: ProgramEnd;
    readonly broken?: unknown;
  },
): TidemarkError {
  const { name, place, end } = failure;
  if (end.startError !== undefined && systemErrorCode(end.startError) === "ENOENT")
    return new TidemarkError("programs_missing", `Cannot run "${name}": it is not in "${place.programsFolder}"`, {
      hint: "Install PostgreSQL's client programs of the server's major version",
      cause: end.startError,
    });
  const how = end.signal === null ? `ended with ${end.exitCode ?? "no exit code"}` : `was ended by ${end.signal}`;
  const lines = failure.program.errorOutput();
  return new TidemarkError(code, `"${name}" ${how}${lines === "" ? "" : `: ${lines}`}`, {
    hint: "See the program's own lines; it is tried again when that can help",
    cause: end.startError ?? failure.broken,
  });
}
