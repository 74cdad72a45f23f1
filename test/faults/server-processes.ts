import { join } from "node:path";
import { findProcessesIn } from "../harness/leftover-processes.ts";

/** Process ids of the postmasters of a data folder: one, when all is well. */
export async function postmastersOf(dataFolder: string): Promise<number[]> {
  const processes = await findProcessesIn(dataFolder);
  return processes.filter(({ command }) => command.includes(` -D ${dataFolder}`)).map(({ pid }) => pid);
}

export function controlDataFolder(home: string): string {
  return join(home, "control/data");
}

export function addonDataFolder(home: string, addonId: string): string {
  return join(home, "databases", addonId, "data");
}
