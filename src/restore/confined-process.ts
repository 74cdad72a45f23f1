import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import type { Readable } from "node:stream";
import { z } from "zod";
import type { FileOwner } from "./owned-files.ts";

const execute = promisify(execFile);
const SANDBOX = "bwrap";
/** Of the sandbox's own start, which takes some milliseconds. */
const PROBE_TIMEOUT_MS = 10_000;
/** The descriptor on which bubblewrap tells what it started; after standard input, output and error. */
const INFO_DESCRIPTOR = 3;
const INFO_BYTES_MAX = 4096;
/** Everything can be read, nothing written; devices and shared memory as they are. */
const READ_ONLY = ["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev"] as const;
const sandboxInfo = z.object({ "child-pid": z.number().int().positive() });

export interface ConfinedCommand {
  readonly program: string;
  readonly arguments: readonly string[];
  /** Folders that it may write in; all that it may write in, where this machine can hold it to that. */
  readonly writableFolders: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** An open file, for what it prints. */
  readonly log: number;
  /** Whom it runs as, when root starts it. */
  readonly owner: FileOwner | undefined;
}

export interface ConfinedProcess {
  /** Ends when the command ends. */
  readonly child: ChildProcess;
  /** The command's own, for signals: the child's may be the sandbox's. */
  readonly pid: number | undefined;
}

/**
 * Starts a command that can write in its own folders alone: bubblewrap mounts everything else read-only for it. Where that isn't installed, or the kernel lets
 * ordinary users make no mounts of their own, it runs without.
 *
 * @throws the system's error when the program can't be run
 */
export async function startConfined(command: ConfinedCommand): Promise<ConfinedProcess> {
  const isConfined = await canConfine(command);
  const binds = command.writableFolders.flatMap((folder) => ["--bind", folder, folder]);
  const [program, programArguments] = isConfined
    ? [
        SANDBOX,
        [...READ_ONLY, ...binds, "--info-fd", String(INFO_DESCRIPTOR), "--", command.program, ...command.arguments],
      ]
    : [command.program, command.arguments];
  const child = spawn(program, programArguments, {
    cwd: "/",
    env: command.environment,
    // Of its own group: Ctrl+C in the terminal is ours to act upon.
    detached: true,
    stdio: ["ignore", command.log, command.log, ...(isConfined ? (["pipe"] as const) : [])],
    ...identity(command.owner),
  });
  await once(child, "spawn");
  return { child, pid: isConfined ? await readPid(child) : child.pid };
}

async function canConfine({ environment, owner }: ConfinedCommand): Promise<boolean> {
  try {
    await execute(SANDBOX, [...READ_ONLY, "--", "true"], {
      env: environment,
      timeout: PROBE_TIMEOUT_MS,
      ...identity(owner),
    });
    return true;
  } catch {
    // Not there, or not allowed: what else keeps a copy from live folders has to do.
    return false;
  }
}

/** Undefined when the sandbox ended before it started anything: its log says why. */
async function readPid(child: ChildProcess): Promise<number | undefined> {
  // A pipe, as it was asked for.
  const info = child.stdio[INFO_DESCRIPTOR] as Readable;
  let text = "";
  for await (const chunk of info) {
    text += String(chunk);
    if (text.length > INFO_BYTES_MAX) break;
  }
  return text === "" ? undefined : sandboxInfo.parse(JSON.parse(text))["child-pid"];
}

function identity(owner: FileOwner | undefined): { readonly uid?: number; readonly gid?: number } {
  return owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
}
