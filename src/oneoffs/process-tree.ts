import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What the processes below one use together. */
export interface TreeUse {
  readonly processes: number;
  /** Memory of their own, in RAM or swapped out; what they share with files on disk isn't counted. */
  readonly memoryBytes: number;
}

/** Lines of /proc/PID/status that tell memory which is given back only when a process ends, in kB. */
const MEMORY_LINE = /^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB$/gm;
/** In /proc/PID/stat, behind the program's name in parentheses, which may hold anything: state, then the parent. */
const PARENT = /^.*\) . (\d+) /s;

/** Adds up the processes that descend from `root`, itself included. One that ends meanwhile counts as nothing. */
export async function readTreeUse(root: number): Promise<TreeUse> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map<number, number>();
  await Promise.all(pids.map(async (pid) => parents.set(pid, await parentOf(pid))));
  const members = pids.filter((pid) => descends(pid, root, parents));
  const memory = await Promise.all(members.map(memoryOf));
  return { processes: members.length, memoryBytes: memory.reduce((sum, bytes) => sum + bytes, 0) };
}

function descends(pid: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  const seen = new Set<number>();
  for (let each = pid; each > 0 && !seen.has(each); each = parents.get(each) ?? 0) {
    if (each === root) return true;
    // Ids are read one after the other and may be given out again meanwhile: a circle is possible, if only for this reading.
    seen.add(each);
  }
  return false;
}

async function parentOf(pid: number): Promise<number> {
  const stat = await readProcessFile(pid, "stat");
  return Number(PARENT.exec(stat)?.[1] ?? 0);
}

async function memoryOf(pid: number): Promise<number> {
  const status = await readProcessFile(pid, "status");
  let bytes = 0;
  for (const [, kilobytes = "0"] of status.matchAll(MEMORY_LINE)) bytes += Number(kilobytes) * 1024;
  return bytes;
}

/** Empty for a process that is gone. */
async function readProcessFile(pid: number, name: string): Promise<string> {
  return await readFile(join("/proc", String(pid), name), "utf8").catch(() => "");
}
