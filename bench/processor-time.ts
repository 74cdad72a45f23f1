import { readFile } from "node:fs/promises";

/** Linux counts in hundredths of a second here, whatever the kernel's own clock (getconf CLK_TCK). */
const TICKS_PER_SECOND = 100;
/** Fields 16 and 17 of /proc/PID/stat, counted after the parenthesised name: user and system time of children that have ended. proc(5). */
const CHILD_USER_FIELD = 13;
const CHILD_SYSTEM_FIELD = 14;

/** Processor seconds that this process and its ended children have used so far. */
export async function processorSeconds(): Promise<number> {
  const { user, system } = process.cpuUsage();
  const stat = await readFile("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const children = Number(fields[CHILD_USER_FIELD]) + Number(fields[CHILD_SYSTEM_FIELD]);
  return (user + system) / 1e6 + children / TICKS_PER_SECOND;
}
