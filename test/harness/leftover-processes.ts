import { execFile } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { promisify } from "node:util";

export interface LeftoverProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes that work in `folder` or below it, or name it in their arguments; this process is never among them. PostgreSQL's postmaster has its
 * data folder as working folder, so every server that lives below `folder` is found, by whichever way it was started.
 */
export async function findProcessesIn(folder: string): Promise<LeftoverProcess[]> {
  const processes = process.platform === "linux" ? await readProcFolder() : await readProcessList();
  return processes
    .filter(
      (entry) => entry.pid !== process.pid && (isBelow(entry.workFolder, folder) || entry.command.includes(folder)),
    )
    .map(({ pid, command }) => ({ pid, command }));
}

interface ProcessEntry extends LeftoverProcess {
  /** Empty where it can't be read: another user's process, a zombie, a system without /proc. */
  readonly workFolder: string;
}

async function readProcFolder(): Promise<ProcessEntry[]> {
  const names = await readdir("/proc");
  const pids = names.filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(
    pids.map(async (pid): Promise<ProcessEntry> => {
      // A process can end between the listing and the reading: it is no leftover then.
      const workFolder = await readlink(`/proc/${pid}/cwd`).catch(() => "");
      const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return { pid: Number(pid), workFolder, command: commandLine.replaceAll("\0", " ").trim() };
    }),
  );
  return entries.filter((entry) => entry.command !== "");
}

async function readProcessList(): Promise<ProcessEntry[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axww", "-o", "pid=,args="]);
  return stdout.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(.*)$/.exec(line);
    return match === null ? [] : [{ pid: Number(match[1]), workFolder: "", command: match[2] ?? "" }];
  });
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`) || path.startsWith(`${folder} (deleted)`);
}
