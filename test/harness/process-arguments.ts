import { readdir, readFile } from "node:fs/promises";

/** The command lines of all processes of this machine, as anybody can read them. */
export async function readProcessArguments(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  // A process may end between the two readings.
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line !== "");
}
