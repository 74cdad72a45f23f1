import { chown, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import type { Recovered } from "../../src/restore/recover.ts";
import { type PreparedRestore, type RestoreCall, executeRestore, prepareRestore } from "../../src/restore/restore.ts";
import type { RestoreTarget, TargetRequest } from "../../src/restore/target-request.ts";
import { program, serverUser } from "./postgres-server.ts";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

const STOP_DEADLINE_MS = 30_000;
const POLL_INTERVAL_MS = 20;

export interface RestoreAsk extends Omit<TargetRequest, "target"> {
  readonly target: RestoreTarget;
  readonly tablespaces?: ReadonlyMap<string, string>;
  /** Default: `data` in a new temp folder. */
  readonly folder?: string;
  readonly now?: Date;
}

export interface RestoredFolder extends PreparedRestore {
  readonly folder: string;
  readonly recovered: Recovered;
}

/** Plans and carries out a restore as the servers' user; the folder goes when the test ends. */
export async function restore(
  cleanUp: CleanUp,
  archive: PhysicalArchive,
  ask: RestoreAsk,
  call: Partial<RestoreCall> = {},
): Promise<RestoredFolder> {
  let recovered: Recovered | undefined;
  // Before the folders are registered, since clean-ups run in their order.
  cleanUp.after(async () => stopCopy(recovered));
  const prepared = await plan(cleanUp, archive, ask);
  recovered = await executeRestore(archive, prepared, await restoreCall(cleanUp, call));
  return { ...prepared, folder: prepared.plan.folder, recovered };
}

export async function plan(cleanUp: CleanUp, archive: PhysicalArchive, ask: RestoreAsk): Promise<PreparedRestore> {
  const folder = ask.folder ?? join(await makeTempFolder(cleanUp), "data");
  const request = { tablespaces: new Map<string, string>(), ...ask, folder };
  return prepareRestore(archive, request, { now: ask.now ?? new Date() });
}

/** How the tests' restores run. */
export async function restoreCall(cleanUp: CleanUp, call: Partial<RestoreCall> = {}): Promise<RestoreCall> {
  const user = await serverUser();
  const parent = await makeTempFolder(cleanUp);
  const runFolder = await mkdtemp(join(parent, "run-"));
  if (user.uid !== undefined) await chown(runFolder, user.uid, user.gid);
  return {
    programs: { major: 15, version: "15", binFolder: join(program("postgres"), ".."), isServerOnly: false },
    owner: user.uid === undefined ? undefined : user,
    runFolder,
    roles: ["tidemark", "postgres"],
    end: "open",
    clock: systemClock,
    pid: process.pid,
    ...call,
  };
}

/** Ends a copy that was left running, cleanly, and waits until it is gone. May be called twice. */
export async function stopCopy(recovered: Recovered | undefined): Promise<void> {
  const pid = recovered?.running?.pid;
  if (pid === undefined || !isAlive(pid)) return;
  process.kill(pid, "SIGINT");
  const deadlineMs = Date.now() + STOP_DEADLINE_MS;
  while (isAlive(pid) && Date.now() < deadlineMs) await systemClock.sleep(POLL_INTERVAL_MS);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
