import { execFile } from "node:child_process";
import { readFile, readdir, readlink, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { systemErrorCode } from "../core/errors.ts";

/** ps answers within milliseconds. */
const PS_TIMEOUT_MS = 10_000;

const execute = promisify(execFile);

/**
 * Whether process `pid` is the postmaster of this data folder. Judged by its command line, which names the folder: a
 * pid recycled by another program, a backend (whose title replaces the command line) and a zombie are none.
 */
export async function isPostmaster(pid: number, dataFolder: string): Promise<boolean> {
  if (process.platform === "linux") {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const [program = "", ...options] = line.split("\0");
    const at = options.indexOf("-D");
    return basename(program) === "postgres" && at >= 0 && options[at + 1] === dataFolder;
  }
  const { stdout } = await execute("ps", ["-p", String(pid), "-o", "command="], { timeout: PS_TIMEOUT_MS }).catch(
    () => ({ stdout: "" }),
  );
  return stdout.includes(`postgres -D ${dataFolder} `);
}

/**
 * PostgreSQL's processes that work in this data folder, also those that a killed postmaster left behind. Empty where
 * the system has no /proc: there the server's own check of shared memory stands alone.
 */
export async function postgresProcessesIn(dataFolder: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const folder = await realpath(dataFolder).catch(() => undefined);
  if (folder === undefined) return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const inside = await Promise.all(pids.map((pid) => worksIn(pid, folder)));
  return pids.filter((_, index) => inside[index]).map(Number);
}

async function worksIn(pid: string, folder: string): Promise<boolean> {
  try {
    if ((await readlink(join("/proc", pid, "cwd"))) !== folder) return false;
    return (await readFile(join("/proc", pid, "comm"), "utf8")).trim() === "postgres";
  } catch {
    // Gone meanwhile, or another user's: neither is a server of ours.
    return false;
  }
}

/** Whether any process has this pid, ours or not. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === "EPERM";
  }
}

/** Sends a signal; a process that is gone already is no failure. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") throw error;
  }
}
