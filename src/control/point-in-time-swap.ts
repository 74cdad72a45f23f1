import { join } from "node:path";
import { sql } from "kysely";
import type { Client } from "pg";
import { TidemarkError } from "../core/errors.ts";
import { isObjectId, type AddonId, type ObjectId } from "../core/ids.ts";
import { advanceLsn, formatLsn, type Lsn, parseLsn, segmentName, segmentOffset, toTimelineId } from "../core/lsn.ts";
import { SUPERUSER } from "../instances/server-definition.ts";
import type { ServerStatus } from "../instances/supervisor.ts";
import { withSession } from "../postgres/connection.ts";
import { readShutdownEnd, type ShutdownEnd } from "../postgres/shutdown-end.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { listSegmentPieces } from "../repository/wal-archive.ts";
import { contiguousBytes } from "../repository/wal-inventory.ts";
import { type ContinuousPlace, openContinuousSource } from "./base-backup.ts";
import type { ControlContext } from "./context.ts";
import type { OperationWork, StoreResult } from "./operation-runner.ts";
import { requestCancel } from "./operations.ts";
import { hasReachedPhase, type Journal, noteStep } from "./point-in-time-rows.ts";
import { noteTakeOver } from "./timelines.ts";
import { wantBaseBackup } from "./wal-stream-rows.ts";

/** How long the store may take to catch up while the database still runs: nothing is lost by waiting but time. */
const CATCH_UP_TIMEOUT_MS = 120_000;
/** How long it may take for the last log of the stopped database: that is downtime, so past it the database starts again as it was. */
const DRAIN_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 100;
const HOUR_MS = 3600_000;
/** Hexadecimal, at the beginning of a segment's name. */
const TIMELINE_DIGITS = 8;

/** What the swap needs of the host, which runs the database's server. */
export interface SwapHost {
  /** Folder that holds the database's data folders. */
  readonly databaseFolder: (addonId: AddonId) => string;
  readonly isRunning: (addonId: AddonId) => boolean;
  /** Stops the server and leaves it stopped, with this reason for people. */
  readonly stop: (addonId: AddonId, reason: string) => Promise<void>;
  /** Starts the server on whatever data folder is the database's now. */
  readonly start: (addonId: AddonId) => Promise<ServerStatus>;
}

/**
 * Puts a data folder that was made ready in the database's place: the live server is stopped, its last log stored, one row changed, and the server started on the
 * other folder. Until the row changes everything can be begun again, and the database is what it was; from then on it is the other one, and all that is left
 * is to start it.
 *
 * @throws `handover_failed` when the last log can't be stored in time: the database runs again as it was; `server_start_failed`
 */
export async function swapDataFolder(
  context: ControlContext,
  { host, place }: { host: SwapHost; place: ContinuousPlace },
  { operation, signal }: OperationWork,
): Promise<StoreResult> {
  const { db } = context.database;
  const journal = await readJournalOfSwap(context, operation.id);
  const addonId = journal.addon_id;
  if (!hasReachedPhase(journal, "starting")) {
    const left = await drain(context, { host, place, journal, signal });
    await takePlace(context, journal, left);
  }
  const status = await host.start(addonId);
  if (status.state !== "running") {
    throw new TidemarkError(
      "server_start_failed",
      `The restored database doesn't start: ${status.reason ?? status.state}`,
      { hint: "It is tried again by itself; tidemark database-pitr-undo puts the earlier data back." },
    );
  }
  await db
    .updateTable("point_in_time_operations")
    .set({ answered_at: context.clock.now() })
    .where("operation_id", "=", journal.operation_id)
    .where("answered_at", "is", null)
    .execute();
  return async () => {};
}

async function readJournalOfSwap({ database }: ControlContext, swapId: ObjectId): Promise<Journal> {
  return await database.db
    .selectFrom("point_in_time_operations")
    .selectAll()
    .where("swap_operation_id", "=", swapId)
    .executeTakeFirstOrThrow();
}

interface Drain {
  readonly host: SwapHost;
  readonly place: ContinuousPlace;
  readonly journal: Journal;
  readonly signal: AbortSignal;
}

/** Stops the live server with all its log stored, so that the branch which is left can be restored up to its end. Says where that is, as far as it is known. */
async function drain(context: ControlContext, work: Drain): Promise<ShutdownEnd | undefined> {
  const { db } = context.database;
  const { host, place, journal, signal } = work;
  const addonId = journal.addon_id;
  const wasRunning = host.isRunning(addonId);
  await noteStep(db, journal.operation_id, { phase: "swapping" });
  if (wasRunning) await untilCaughtUp(context, work);
  await cancelBaseBackups(context, addonId);
  const { archive } = await openContinuousSource(context, place, { addonId, applicationName: "tidemark swap" });
  const stoppingAt = context.clock.now();
  await host.stop(addonId, "A restore puts other data in its place");
  const { data_folder: dataFolder } = await db
    .selectFrom("databases")
    .select("data_folder")
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  try {
    await db
      .updateTable("point_in_time_operations")
      .set({ stopped_at: stoppingAt })
      .where("operation_id", "=", journal.operation_id)
      .where("stopped_at", "is", null)
      .execute();
    const end = await readShutdownEnd(join(host.databaseFolder(addonId), dataFolder));
    if (end === undefined || !wasRunning) await noteUnclean(context, journal);
    else await untilEndIsStored(context, archive, { addonId, end, signal });
    return end;
  } catch (error) {
    await host.start(addonId);
    throw error;
  }
}

/** While the database still serves: a store that is behind, or away, costs no downtime. */
async function untilCaughtUp(context: ControlContext, { place, journal, signal }: Drain): Promise<void> {
  const { db } = context.database;
  const addonId = journal.addon_id;
  const { port } = await db
    .selectFrom("databases")
    .select("port")
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  if (port === null) return;
  const live = { host: place.socketFolder, port, user: SUPERUSER, database: "postgres" };
  const flushed = await withSession(live, { applicationName: "tidemark swap", signal }, readFlushed);
  await until(context, { timeoutMs: CATCH_UP_TIMEOUT_MS, signal }, async () => {
    const stream = await db
      .selectFrom("wal_streams")
      .select(["stored_lsn", "timeline", "state"])
      .where("addon_id", "=", addonId)
      .executeTakeFirst();
    // The stream's last word may be about the branch before, which had come further.
    if (stream?.state !== "streaming" || stream.timeline !== flushed.timeline || stream.stored_lsn === null)
      return false;
    return parseLsn(stream.stored_lsn) >= flushed.lsn;
  });
}

async function readFlushed(client: Client): Promise<{ readonly timeline: number; readonly lsn: Lsn }> {
  const { rows } = await client.query<{ lsn: string; segment: string }>(
    "select lsn::text as lsn, pg_walfile_name(lsn) as segment from pg_current_wal_flush_lsn() as lsn",
  );
  const { lsn = "", segment = "" } = rows[0] ?? {};
  return { timeline: Number.parseInt(segment.slice(0, TIMELINE_DIGITS), 16), lsn: parseLsn(lsn) };
}

async function untilEndIsStored(
  context: ControlContext,
  archive: PhysicalArchive,
  { addonId, end, signal }: { addonId: AddonId; end: ShutdownEnd; signal: AbortSignal },
): Promise<void> {
  const lineage = await readLiveLineage(context, addonId);
  if (lineage === undefined) return;
  const last = advanceLsn(end.end, -1);
  const segment = segmentName(end.timeline, last, end.segmentSize);
  const wantedBytes = segmentOffset(last, end.segmentSize) + 1;
  await until(context, { timeoutMs: DRAIN_TIMEOUT_MS, signal }, async () => {
    const pieces = await listSegmentPieces(archive, { lineage, timeline: end.timeline, segment }, signal);
    return contiguousBytes(pieces) >= wantedBytes;
  });
}

async function until(
  { clock }: ControlContext,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  condition: () => Promise<boolean>,
): Promise<void> {
  const deadlineMs = clock.now().getTime() + timeoutMs;
  while (!(await condition())) {
    if (clock.now().getTime() > deadlineMs) {
      throw new TidemarkError(
        "handover_failed",
        `The database's last write-ahead log was not stored within ${timeoutMs / 1000} s, so it was left in place`,
        { hint: "tidemark database-pitr-recovery-window says what the stream of the log does; then restore again." },
      );
    }
    await clock.sleep(POLL_INTERVAL_MS, signal);
  }
}

async function readLiveLineage({ database }: ControlContext, addonId: AddonId): Promise<LineageId | undefined> {
  const row = await database.db
    .selectFrom("lineages")
    .select("id")
    .where("addon_id", "=", addonId)
    .where("ended_at", "is", null)
    .executeTakeFirst();
  return row !== undefined && isObjectId(row.id) ? row.id : undefined;
}

/** A server that was down, or had to be forced, may be why it is restored: its branch can be restored as far as its log was stored. */
async function noteUnclean({ database }: ControlContext, journal: Journal): Promise<void> {
  const notes = ["The database had not been stopped cleanly: its earlier branch ends where its stored log does"];
  await noteStep(database.db, journal.operation_id, { notes });
}

/** A base backup that runs copies data that is about to be replaced. */
async function cancelBaseBackups({ database }: ControlContext, addonId: AddonId): Promise<void> {
  const open = await database.db
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addonId)
    .where("kind", "=", "base_backup")
    .where("state", "in", ["scheduled", "running"])
    .execute();
  for (const { id } of open)
    await requestCancel(database.db, id, new TidemarkError("cancelled", "A restore puts other data in its place"));
}

/** The one moment at which the database becomes another: all rows in one transaction. */
async function takePlace(context: ControlContext, journal: Journal, left: ShutdownEnd | undefined): Promise<void> {
  const { addon_id: addonId, data_folder: name, timeline } = journal;
  if (name === null || timeline === null)
    throw new TidemarkError("bug", "Only a folder that was built can take a place");
  const lineage = await readLiveLineage(context, addonId);
  const undoUntil = new Date(context.clock.now().getTime() + journal.undo_hours * HOUR_MS);
  await context.database.db.transaction().execute(async (transaction) => {
    const before = await transaction
      .selectFrom("databases")
      .innerJoin("wal_streams", "wal_streams.addon_id", "databases.addon_id")
      .select(["databases.data_folder", "wal_streams.timeline"])
      .where("databases.addon_id", "=", addonId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    await transaction
      .insertInto("kept_data_folders")
      .values({
        addon_id: addonId,
        name: before.data_folder,
        lineage: lineage ?? null,
        timeline: null,
        left_at: sql<Date>`now()`,
        kept_until: undoUntil,
      })
      .execute();
    await transaction
      .deleteFrom("kept_data_folders")
      .where("addon_id", "=", addonId)
      .where("name", "=", name)
      .execute();
    await transaction.updateTable("databases").set({ data_folder: name }).where("addon_id", "=", addonId).execute();
    const leftTimeline = left?.timeline ?? before.timeline;
    await noteTakeOver(transaction, { addonId, timeline, left: leftTimeline });
    await wantBaseBackup(transaction, { addonId, reason: `It was restored to ${describeSwitch(journal)}` });
    await noteStep(transaction, journal.operation_id, { phase: "starting", undoUntil });
  });
  context.logger.info({ addon: addonId, timeline }, "a restored copy took the database's place");
}

function describeSwitch({ timeline, switch_lsn: at }: Journal): string {
  const position: Lsn | undefined = at === null ? undefined : parseLsn(at);
  const where = position === undefined ? "" : `, from ${formatLsn(position)}`;
  return `timeline ${timeline === null ? "unknown" : toTimelineId(timeline)}${where}`;
}
