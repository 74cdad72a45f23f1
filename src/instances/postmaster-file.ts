/** What `postmaster.pid` and a socket's `.lock` file say (miscadmin.h, "LOCK_FILE_LINE"). */
export interface LockFile {
  readonly pid: number;
  readonly dataFolder: string;
  /** Null in a socket's lock file, and until the server has come that far. */
  readonly state: PostmasterState | null;
}

export type PostmasterState = "starting" | "stopping" | "ready" | "standby";

/** Lines of the file, counted from 0. */
const LINE = { pid: 0, dataFolder: 1, state: 7 } as const;
const STATES: readonly PostmasterState[] = ["starting", "stopping", "ready", "standby"];

/** Null for a file that is empty or cut short: the disk was full, or the server is writing it. */
export function parseLockFile(text: string): LockFile | null {
  const lines = text.split("\n");
  // A postmaster started by hand writes its pid; a standalone backend writes it negative.
  const pid = Math.abs(Number.parseInt(lines[LINE.pid] ?? "", 10));
  const dataFolder = lines[LINE.dataFolder];
  if (!Number.isSafeInteger(pid) || pid === 0 || dataFolder === undefined || dataFolder === "") return null;
  const word = lines[LINE.state]?.trim();
  return { pid, dataFolder, state: STATES.find((state) => state === word) ?? null };
}
