import { lstat, mkdir, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { type Lsn, type TimelineId, formatLsn, parseLsn, toTimelineId } from "../core/lsn.ts";
import type { Connection } from "../postgres/connection.ts";
import type { Programs } from "../postgres/programs.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { newestTimeline } from "./branch.ts";
import type { FileOwner } from "./owned-files.ts";
import type { LineageFacts } from "./facts.ts";
import type { PlannedTablespace } from "./plan.ts";
import { walEnd } from "./plan.ts";
import { recoverySettings } from "./recovery-settings.ts";
import { readSwitch } from "./read-switch.ts";
import { RECOVERY_PORT, RecoveryServer, type ReplayState } from "./recovery-server.ts";
import { workFolder } from "./restore-folder.ts";
import type { ResolvedTarget } from "./target.ts";
import { WalFeed } from "./wal-feed.ts";

/** How often the server is asked how far it is. */
const POLL_INTERVAL_MS = 100;
/** A promotion writes two records and one file; a loaded machine takes seconds. */
const PROMOTION_TIMEOUT_MS = 120_000;

export interface RecoverRequest {
  /** As `fetchBaseBackup` left it. */
  readonly dataFolder: string;
  readonly target: ResolvedTarget;
  readonly lineage: LineageFacts;
  readonly tablespaces: readonly PlannedTablespace[];
  /** An empty folder, private to the owner, on a short path: the socket's lies in it. */
  readonly runFolder: string;
  /** Of the backup's major version. */
  readonly programs: Programs;
  /** Whom the server runs as, when root restores. */
  readonly owner?: FileOwner | undefined;
  /** Roles of which the cluster has one that may log in, tried in this order. */
  readonly roles: readonly [string, ...string[]];
  /**
   * `paused`: the copy is left running, read-only, at the target. `open`: it was promoted and stopped, and starts as a database of its own.
   */
  readonly end: "paused" | "open";
  /** The timeline that a promotion shall take, when the platform gave one out; else the first that nothing is stored of. */
  readonly nextTimeline?: TimelineId | undefined;
  readonly clock: Clock;
  readonly pid: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined;
  /** Called when the copy pauses at its target, proved to be there. Not called for one that PostgreSQL doesn't pause. */
  readonly onPaused?: ((connection: Connection) => Promise<void>) | undefined;
  /** `open`: called once the copy was promoted, before it is stopped. */
  readonly onOpen?: ((connection: Connection) => Promise<void>) | undefined;
}

export interface ReplayProgress {
  readonly replayed: Lsn | undefined;
  /** Stamp of the newest transaction that was replayed. */
  readonly replayedUntil: Date | undefined;
  readonly target: Lsn;
}

export interface Recovered {
  /** The position that the server said it has replayed: the plan's, always. */
  readonly lsn: Lsn;
  /** The timeline that it is on now. */
  readonly timeline: TimelineId;
  /**
   * How to reach the paused copy, and its postmaster; undefined when it was stopped. It gets no more log in this run: to go on, or to open it, it is
   * stopped and recovered anew.
   */
  readonly running: { readonly connection: Connection; readonly pid: number | undefined } | undefined;
}

/**
 * Recovers a fetched base backup to its target, on a private socket and apart from everything else, and proves that it got there.
 *
 * @param signal stops the server; the folder doesn't start afterwards
 * @throws `recovery_failed` when the server ends or opens before the target, with the end of its log; `restore_refused`, and what fetching the WAL
 *   throws. The server is stopped then, and the folder doesn't start
 */
export async function recover(archive: PhysicalArchive, request: RecoverRequest): Promise<Recovered> {
  const nextTimeline = request.nextTimeline ?? freeTimeline(request.lineage, request.target);
  const { target, owner, clock, pid, lineage } = request;
  const folder = workFolder(request.dataFolder);
  const links = await linkLaterTablespaces(request.tablespaces);
  const feed = await WalFeed.open(archive, {
    folder,
    branch: target.branch,
    lineage,
    from: parseLsn(target.base.startLsn),
    to: walEnd(target),
    nextTimeline,
    owner,
    clock,
    pid,
  });
  try {
    const server = await startServer(request, feed.restoreCommand);
    try {
      const recovered = await finish(request, { server, feed, nextTimeline });
      if (recovered.running === undefined) await server.close();
      else server.release();
      return recovered;
    } catch (error) {
      await server.close();
      throw error;
    }
  } finally {
    await feed.close();
    if (request.end === "open") await relinkTablespaces(request.dataFolder, links);
  }
}

function startServer(request: RecoverRequest, restoreCommand: string): Promise<RecoveryServer> {
  const { dataFolder, runFolder, programs, owner, roles, clock, target } = request;
  const settings = recoverySettings({
    runFolder,
    port: RECOVERY_PORT,
    restoreCommand,
    targetLsn: target.lsn,
    timeline: timelineOf(target),
    minimums: target.minimums,
  });
  const tablespaceFolders = request.tablespaces.map(({ folder }) => folder);
  return RecoveryServer.start({ dataFolder, tablespaceFolders, runFolder, programs, owner, roles, settings, clock });
}

/** Of the target's record: a target before a switch lies on an older timeline, and a copy promoted there must say that it left that one. */
function timelineOf({ branch, endLsn }: ResolvedTarget): TimelineId {
  return branch.stretches.find(({ to }) => to === undefined || endLsn <= to)?.timeline ?? branch.timeline;
}

interface Running {
  readonly server: RecoveryServer;
  readonly feed: WalFeed;
  readonly nextTimeline: TimelineId;
}

async function finish(request: RecoverRequest, running: Running): Promise<Recovered> {
  const { server, nextTimeline } = running;
  const { endLsn, branch } = request.target;
  const reached = await waitFor(request, running, (state) => state.kind === "paused" || state.kind === "open");
  if (reached.kind === "paused") {
    assertReached(endLsn, reached.lsn);
    await request.onPaused?.(server.connection);
  }
  if (request.end === "paused") {
    // A copy whose sessions aren't known to the log yet takes no connections, so PostgreSQL doesn't pause it.
    if (reached.kind === "open") throw failed("the server opened by itself at the target instead of pausing there");
    return { lsn: endLsn, timeline: branch.timeline, running: { connection: server.connection, pid: server.pid } };
  }
  if (reached.kind === "paused") {
    await server.promote();
    const deadlineMs = request.clock.now().getTime() + PROMOTION_TIMEOUT_MS;
    await waitFor(request, running, (state) => state.kind === "open", deadlineMs);
  }
  const left = await readSwitch(request.dataFolder, nextTimeline);
  if (left === undefined) throw failed(`the copy took another timeline than ${nextTimeline}`);
  assertReached(endLsn, left.end);
  await request.onOpen?.(server.connection);
  return { lsn: endLsn, timeline: nextTimeline, running: undefined };
}

async function waitFor(
  request: RecoverRequest,
  { server, feed }: Running,
  isReached: (state: ReplayState) => boolean,
  deadlineMs?: number,
): Promise<Exclude<ReplayState, { kind: "starting" }>> {
  const { clock, signal, target } = request;
  for (;;) {
    signal?.throwIfAborted();
    if (feed.failure !== undefined) throw feed.failure.error;
    if (server.isOver) throw failed(`the server ended; its log ends with:\n${await server.logTail()}`);
    const state = await server.replayState(signal);
    if (state.kind !== "starting")
      request.onProgress?.({ replayed: state.lsn, replayedUntil: state.until, target: target.endLsn });
    if (state.kind !== "starting" && isReached(state)) return state;
    if (deadlineMs !== undefined && clock.now().getTime() > deadlineMs) throw failed("the promotion takes too long");
    await clock.sleep(POLL_INTERVAL_MS, signal);
  }
}

/** Paused is not enough: a server whose settings are too small for the original's pauses on the way, and looks the same. */
function assertReached(expected: Lsn, found: Lsn | undefined): void {
  if (found === expected) return;
  const where = found === undefined ? "nowhere" : `at ${formatLsn(found)}`;
  throw failed(`it ended ${where}, planned was ${formatLsn(expected)}`);
}

/** The first id after all that anything is known of. */
function freeTimeline(lineage: LineageFacts, target: ResolvedTarget): TimelineId {
  const newest = newestTimeline(lineage, []) ?? target.branch.timeline;
  return toTimelineId(Math.max(newest, target.branch.timeline) + 1);
}

/**
 * Tablespaces that the WAL creates: replay goes to their original paths, which don't exist here, so each is made a link to its own folder for that time.
 */
async function linkLaterTablespaces(tablespaces: readonly PlannedTablespace[]): Promise<readonly PlannedTablespace[]> {
  const linked = tablespaces.filter(
    ({ origin, originalPath, folder }) => origin === "write-ahead log" && originalPath !== folder,
  );
  for (const { originalPath, folder } of linked) {
    await mkdir(dirname(originalPath), { recursive: true });
    await symlink(folder, originalPath);
  }
  return linked;
}

/** Afterwards the data folder's own links lead to the folders, and the original paths are gone again. */
async function relinkTablespaces(dataFolder: string, linked: readonly PlannedTablespace[]): Promise<void> {
  for (const { oid, originalPath, folder } of linked) {
    const link = join(dataFolder, "pg_tblspc", oid);
    // Missing when replay dropped the tablespace again, or never got to it.
    const isThere = await lstat(link).then(
      () => true,
      () => false,
    );
    if (isThere) {
      await rm(link);
      await symlink(folder, link);
    }
    await rm(originalPath, { force: true });
  }
}

function failed(how: string): TidemarkError {
  return new TidemarkError("recovery_failed", `Cannot recover: ${how}`, {
    hint: "The folder isn't whole and doesn't start; remove it, and restore again once the cause is gone",
  });
}
