import { lstat, readdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { type TimelineId, formatLsn, historyFileName, toTimelineId } from "../core/lsn.ts";
import type { Connection } from "../postgres/connection.ts";
import type { Programs } from "../postgres/programs.ts";
import { readShutdownEnd } from "../postgres/shutdown-end.ts";
import type { TimelineSwitch } from "../postgres/timeline-history.ts";
import type { StandbyMinimums } from "../postgres/wal/record.ts";
import type { FileOwner } from "./owned-files.ts";
import { makeOwnedFolder, writeOwnedFile } from "./owned-files.ts";
import { readSwitch } from "./read-switch.ts";
import { RECOVERY_PORT, RecoveryServer } from "./recovery-server.ts";
import { recoverySettings } from "./recovery-settings.ts";
import { removeWorkFolder, workFolder } from "./restore-folder.ts";

const POLL_INTERVAL_MS = 100;
/** A folder that was stopped cleanly opens within a second; one that crashed replays its log first. */
const OPEN_TIMEOUT_MS = 600_000;
const FIRST_WITH_HISTORY = 2;
const RECOVERY_SIGNAL = "recovery.signal";
/** Of a timeline that somebody else has: only its presence counts. */
const PLACEHOLDER = "# This timeline's id is taken.\n";
/** Exit code 1: there is none of this name, so the server looks into its own pg_wal, which has all the log there is. */
const SCRIPT = `#!/bin/sh
folder=$(dirname "$0")
[ -d "$folder/histories" ] || exit 200
[ -f "$folder/histories/$1" ] || exit 1
cp "$folder/histories/$1" "$2" || exit 200
`;

export interface ReopenRequest {
  /** Of a cluster that doesn't run. */
  readonly dataFolder: string;
  /** The timeline that it is on, and the one that it shall take. */
  readonly from: TimelineId;
  readonly timeline: TimelineId;
  /** What its settings must be at least. */
  readonly minimums: StandbyMinimums;
  /** Empty, private to the owner, on a short path. */
  readonly runFolder: string;
  readonly programs: Programs;
  readonly owner?: FileOwner | undefined;
  readonly roles: readonly [string, ...string[]];
  /** Called once it is open, before it is stopped. */
  readonly onOpen: (connection: Connection) => Promise<void>;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a stopped cluster at the end of its own log on a timeline that was given out for it, and stops it again, so that it can go on as a branch of its own.
 * May be called again after any interruption: one that has taken the timeline keeps it.
 *
 * @returns the timeline that it left, and where
 * @throws `recovery_failed` when it doesn't open, takes another timeline, or left its own elsewhere than at the end of its log
 */
export async function reopenOnTimeline(request: ReopenRequest): Promise<TimelineSwitch> {
  const { dataFolder, timeline } = request;
  const signalFile = join(dataFolder, RECOVERY_SIGNAL);
  const isUnderWay = await exists(signalFile);
  const isOpened = !isUnderWay && (await readSwitch(dataFolder, timeline)) !== undefined;
  const end = isOpened || isUnderWay ? undefined : await readShutdownEnd(dataFolder);
  if (!isOpened) {
    // A promotion that was interrupted here opened nothing, and its history would count as another's.
    await rm(join(dataFolder, "pg_wal", historyFileName(timeline)), { force: true });
    await writeHistories(request);
    await writeOwnedFile(signalFile, "", request.owner);
  }
  await openAndStop(request);
  const left = await readSwitch(dataFolder, timeline);
  if (left === undefined) throw failed(`it took another timeline than ${timeline}`);
  if (end !== undefined && left.end !== end.end)
    throw failed(`it left its timeline at ${formatLsn(left.end)}, its log ended at ${formatLsn(end.end)}`);
  await removeWorkFolder(dataFolder);
  return left;
}

/** Every id below the one that was given out is taken. Its own timeline's history, and those before it, lie in its pg_wal. */
async function writeHistories({ dataFolder, from, timeline, owner }: ReopenRequest): Promise<void> {
  const folder = workFolder(dataFolder);
  await rm(folder, { recursive: true, force: true });
  await makeOwnedFolder(folder, owner);
  await makeOwnedFolder(join(folder, "histories"), owner);
  for (let id = Math.max(from + 1, FIRST_WITH_HISTORY); id < timeline; id++)
    await writeOwnedFile(join(folder, "histories", historyFileName(toTimelineId(id))), PLACEHOLDER, owner);
  await writeOwnedFile(join(folder, "fetch-wal"), SCRIPT, owner);
}

async function openAndStop(request: ReopenRequest): Promise<void> {
  const { dataFolder, runFolder, programs, owner, roles, clock, signal, from, minimums } = request;
  const script = join(workFolder(dataFolder), "fetch-wal").replaceAll("'", `'\\''`).replaceAll("%", "%%");
  const settings = recoverySettings({
    runFolder,
    port: RECOVERY_PORT,
    restoreCommand: `sh '${script}' "%f" "%p"`,
    targetLsn: undefined,
    timeline: from,
    minimums,
  });
  const tablespaceFolders = await readTablespaceFolders(dataFolder);
  const options = { dataFolder, tablespaceFolders, runFolder, programs, owner, roles, settings, clock };
  const server = await RecoveryServer.start(options);
  try {
    const deadlineMs = clock.now().getTime() + OPEN_TIMEOUT_MS;
    for (;;) {
      signal?.throwIfAborted();
      if (server.isOver) throw failed(`the server ended; its log ends with:\n${await server.logTail()}`);
      const state = await server.replayState(signal);
      if (state.kind === "open") break;
      if (clock.now().getTime() > deadlineMs) throw failed("it takes too long");
      await clock.sleep(POLL_INTERVAL_MS, signal);
    }
    await request.onOpen(server.connection);
  } finally {
    await server.close();
  }
}

async function readTablespaceFolders(dataFolder: string): Promise<readonly string[]> {
  const folder = join(dataFolder, "pg_tblspc");
  const entries = await readdir(folder, { withFileTypes: true });
  return Promise.all(entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => readlink(join(folder, name))));
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

function failed(how: string): TidemarkError {
  return new TidemarkError("recovery_failed", `Cannot open the data folder on a new timeline: ${how}`, {
    hint: "The database that runs now was not touched; the platform's log has more",
  });
}
