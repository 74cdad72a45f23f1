import { readFile } from "node:fs/promises";

/** Linux counts in hundredths of a second here, whatever the kernel's own clock (getconf CLK_TCK). */
const TICKS_PER_SECOND = 100;
const MEMORY_PAGE_BYTES = 4096;
/** Often enough to see a peak that lasts, and a thousandth of a core for a handful of processes. */
const MEMORY_INTERVAL_MS = 50;
/**
 * Fields 14 to 17 of /proc/PID/stat, counted after the parenthesised name: user and system time of the process, then of its children that have ended.
 * proc(5).
 */
const OWN_TIME_FIELDS = [11, 12];
const CHILD_TIME_FIELDS = [13, 14];

/** Processor seconds that this process and its ended children have used so far. */
export async function processorSeconds(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + (await statSeconds("self", CHILD_TIME_FIELDS));
}

/** Processor seconds of a process and all its descendants, those that have ended included. */
export async function treeProcessorSeconds(pid: number): Promise<number> {
  let seconds = 0;
  for (const each of await tree(pid)) seconds += await statSeconds(each, [...OWN_TIME_FIELDS, ...CHILD_TIME_FIELDS]);
  return seconds;
}

/**
 * Watches the resident memory of a process and its descendants together. What they share is counted for each.
 *
 * @returns stops watching and gives the peak in bytes
 */
export function watchMemory(pid: number): () => number {
  let peakBytes = 0;
  const look = async (): Promise<void> => {
    const sizes = await Promise.all((await tree(pid)).map(residentBytes));
    peakBytes = Math.max(
      peakBytes,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  };
  const timer = setInterval(() => void look(), MEMORY_INTERVAL_MS);
  return () => {
    clearInterval(timer);
    return peakBytes;
  };
}

async function tree(pid: number): Promise<number[]> {
  const children = (await read(`/proc/${pid}/task/${pid}/children`)).split(" ").filter((text) => text !== "");
  const descendants = await Promise.all(children.map((child) => tree(Number(child))));
  return [pid, ...descendants.flat()];
}

async function residentBytes(pid: number): Promise<number> {
  return Number((await read(`/proc/${pid}/statm`)).split(" ")[1] ?? 0) * MEMORY_PAGE_BYTES;
}

async function statSeconds(pid: number | "self", fields: readonly number[]): Promise<number> {
  const stat = await read(`/proc/${pid}/stat`);
  const values = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.reduce((sum, field) => sum + Number(values[field] ?? 0), 0) / TICKS_PER_SECOND;
}

/** Empty for a process that is gone. */
async function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
