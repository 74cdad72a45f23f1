import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { TidemarkError, isErrorCode } from "../core/errors.ts";
import { type AddonId, isObjectId, type ObjectId } from "../core/ids.ts";
import { type Lsn, type TimelineId, toTimelineId } from "../core/lsn.ts";
import { newDataFolderName, removeDataFolder } from "../instances/data-folders.ts";
import { ensureReplicationSlot, managedFolder } from "../instances/managed-database.ts";
import { provisionRoles } from "../instances/managed-roles.ts";
import { type LoginRole, readLoginRoles, takeOverPasswords } from "../instances/role-passwords.ts";
import { SUPERUSER } from "../instances/server-definition.ts";
import { stopServer } from "../instances/server.ts";
import type { ServiceUser } from "../instances/service-user.ts";
import { type Connection, withSession } from "../postgres/connection.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { choosePrograms, type Programs } from "../postgres/programs.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { newestTimeline } from "../restore/branch.ts";
import type { FileOwner } from "../restore/owned-files.ts";
import { readSwitch } from "../restore/read-switch.ts";
import { reopenOnTimeline } from "../restore/reopen.ts";
import { makePrivateFolder } from "../restore/restore-folder.ts";
import { executeRestore } from "../restore/restore.ts";
import { type ContinuousPlace, openContinuousSource } from "./base-backup.ts";
import { type ControlContext, unwrapText } from "./context.ts";
import type { OperationWork } from "./operation-runner.ts";
import { planPointInTimeRestore, readUndoHours } from "./point-in-time-plan.ts";
import { RestoreProgressNotes } from "./point-in-time-progress.ts";
import { type Journal, noteStep } from "./point-in-time-rows.ts";
import type { RestoreWish } from "./point-in-time-service.ts";
import { giveOutTimeline, noteBranch } from "./timelines.ts";

/** The machine on which copies are built. */
export interface PointInTimePlace extends ContinuousPlace {
  readonly home: string;
  readonly installed: readonly Programs[];
  readonly user: ServiceUser;
  /** This process, which a copy's server asks for its log. */
  readonly pid: number;
}

/** Of an operation's id; the socket of a copy has a short path. */
const RUN_FOLDER_ID_DIGITS = 10;

/**
 * Builds the database as it was, in a folder of its own beside the live one: planned, fetched, replayed, proved to be at the target, opened on a timeline that was
 * given out for it, with today's passwords, and stopped. The live database goes on meanwhile. A failure leaves nothing.
 */
export async function buildCopy(
  context: ControlContext,
  place: PointInTimePlace,
  { work, journal, wish }: { work: OperationWork; journal: Journal; wish: RestoreWish },
): Promise<void> {
  const { db } = context.database;
  const { operation, signal } = work;
  const site = await openSite(context, place, operation.addon_id, operation.id);
  if (journal.data_folder !== null) await removeDataFolder(site.databaseFolder, journal.data_folder, context.clock);
  const name = newDataFolderName(`${operation.id}-${operation.attempt}`);
  // Noted first: a folder that no journal names is swept.
  await noteStep(db, operation.id, { dataFolder: name, phase: "scheduled" });
  const folder = join(site.databaseFolder, name);
  try {
    const { archive } = await openContinuousSource(context, place, {
      addonId: site.addonId,
      applicationName: "tidemark restore",
    });
    const { prepared, plan } = await planPointInTimeRestore(
      context,
      archive,
      { addonId: site.addonId, wish, folder },
      signal,
    );
    await noteStep(db, operation.id, { phase: "planned", plan, undoHours: plan.undoHours });
    const timeline = await takeTimeline(context, site.addonId, newestOf(prepared));
    await noteStep(db, operation.id, { timeline });
    const notes = new RestoreProgressNotes(context, work);
    await makePrivateFolder(site.runFolder, site.owner);
    const { rates } = await executeRestore(archive, prepared, {
      ...callOf(context, place, site),
      end: "open",
      nextTimeline: timeline,
      signal,
      onProgress: (progress) => notes.note(progress),
      onPaused: async (connection) => {
        await withSession(connection, { applicationName: "tidemark restore" }, ensureReplicationSlot);
        await notes.end({ phase: "paused-at-target" });
      },
      onOpen: (connection) => finishCopy(context, { work, site, connection }),
    });
    await notes.end({ rates });
    const left = await readSwitch(folder, timeline);
    if (left === undefined) throw new TidemarkError("bug", "The copy's switch was read when it was promoted");
    await noteBuilt(context, work, { lineage: prepared.lineage.lineage, timeline, left });
  } catch (error) {
    await removeDataFolder(site.databaseFolder, name, context.clock);
    throw error;
  } finally {
    await rm(site.runFolder, { recursive: true, force: true });
  }
}

/**
 * Makes the replaced data ready to go on: it is opened at the end of its log on a timeline of its own, with today's passwords, and stopped. The live database goes
 * on meanwhile; the folder is kept whatever happens.
 */
export async function reopenKeptFolder(
  context: ControlContext,
  place: PointInTimePlace,
  { work, name }: { work: OperationWork; name: string },
): Promise<void> {
  const { db } = context.database;
  const { operation, signal } = work;
  const site = await openSite(context, place, operation.addon_id, operation.id);
  const dataFolder = join(site.databaseFolder, name);
  const undoHours = await readUndoHours(context, site.addonId);
  await noteStep(db, operation.id, { dataFolder: name, phase: "planned", undoHours });
  // Of an attempt that was interrupted.
  await stopServer({ dataFolder }, { clock: context.clock, signal });
  const kept = await db
    .selectFrom("kept_data_folders")
    .selectAll()
    .where("addon_id", "=", site.addonId)
    .where("name", "=", name)
    .executeTakeFirst();
  if (kept === undefined) throw nothingKept();
  const { timeline: from, minimums } = await readControlFile(dataFolder);
  const timeline =
    kept.timeline === null ? await takeTimeline(context, site.addonId, from) : toTimelineId(kept.timeline);
  // Noted first: an attempt that comes after this one must take the same.
  await db
    .updateTable("kept_data_folders")
    .set({ timeline })
    .where("addon_id", "=", site.addonId)
    .where("name", "=", name)
    .execute();
  await noteStep(db, operation.id, { timeline, phase: "replaying" });
  try {
    await makePrivateFolder(site.runFolder, site.owner);
    const left = await reopenOnTimeline({
      ...callOf(context, place, site),
      dataFolder,
      from,
      timeline,
      minimums,
      signal,
      onOpen: async (connection) => {
        await finishCopy(context, { work, site, connection });
        await noteUnlogged(context, { work, site, connection });
      },
    });
    const lineage = kept.lineage !== null && isObjectId(kept.lineage) ? kept.lineage : undefined;
    await noteBuilt(context, work, { lineage, timeline, left });
  } finally {
    await rm(site.runFolder, { recursive: true, force: true });
  }
}

export function nothingKept(): TidemarkError {
  return new TidemarkError("conflict", "There is no restore that could be undone: no replaced data is kept any more", {
    hint: "A restore to the moment before it brings the same data: tidemark database-pitr-restore",
  });
}

interface Site {
  readonly addonId: AddonId;
  readonly resourceId: string;
  readonly databaseFolder: string;
  readonly runFolder: string;
  readonly owner: FileOwner | undefined;
  readonly programs: Programs;
  /** The live server, as its superuser. */
  readonly live: Connection;
  readonly passwords: { readonly owner: string; readonly backup: string; readonly replication: string };
}

async function openSite(
  { database, secrets }: ControlContext,
  { home, socketFolder, installed, user }: PointInTimePlace,
  addonId: AddonId,
  operationId: ObjectId,
): Promise<Site> {
  const row = await database.db
    .selectFrom("databases")
    .innerJoin("addons", "addons.id", "databases.addon_id")
    .selectAll("databases")
    .select("addons.resource_id")
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  if (row.port === null) throw new TidemarkError("server_not_running", `The database ${row.resource_id} has no server`);
  const what = `password of ${row.resource_id}`;
  const runFolder = join(socketFolder, `copy-${operationId.slice(-RUN_FOLDER_ID_DIGITS)}`);
  // Of an attempt that was interrupted.
  await rm(runFolder, { recursive: true, force: true });
  await mkdir(socketFolder, { recursive: true });
  return {
    addonId,
    resourceId: row.resource_id,
    databaseFolder: managedFolder({ home }, { addonId }),
    runFolder,
    owner: user.isSwitchedFromRoot ? { uid: user.uid, gid: user.gid } : undefined,
    programs: choosePrograms(installed, row.major),
    live: { host: socketFolder, port: row.port, user: SUPERUSER, database: "postgres" },
    passwords: {
      owner: await unwrapText(secrets, row.wrapped_owner_password, what),
      backup: await unwrapText(secrets, row.wrapped_backup_password, what),
      replication: await unwrapText(secrets, row.wrapped_replication_password, what),
    },
  };
}

function callOf({ clock }: ControlContext, { pid }: PointInTimePlace, { programs, owner, runFolder }: Site) {
  const roles: readonly [string] = [SUPERUSER];
  return { programs, owner, runFolder, roles, clock, pid };
}

/** What the opened copy must have of today before it can take the live one's place. */
async function finishCopy(
  { database }: ControlContext,
  { work, site, connection }: { work: OperationWork; site: Site; connection: Connection },
): Promise<void> {
  const superuser = { ...connection, database: "postgres" };
  const today = await readToday(site.live, work.signal);
  const notes =
    today === undefined
      ? ["The database was not running: users other than its owner have the passwords of then"]
      : describeRoles(await takeOverPasswords(superuser, today));
  await provisionRoles(superuser, { name: site.resourceId, passwords: site.passwords, signal: work.signal });
  await withSession(superuser, { applicationName: "tidemark restore" }, ensureReplicationSlot);
  await noteStep(database.db, work.operation.id, { notes });
}

/** Opening a data folder on another timeline is a recovery, however cleanly it was stopped: PostgreSQL makes such tables anew. */
async function noteUnlogged(
  { database }: ControlContext,
  { work, site, connection }: { work: OperationWork; site: Site; connection: Connection },
): Promise<void> {
  const owned = { ...connection, database: site.resourceId };
  const count = await withSession(owned, { applicationName: "tidemark restore" }, async (client) => {
    const { rows } = await client.query<{ count: number }>(
      "select count(*)::int as count from pg_class where relkind = 'r' and relpersistence = 'u'",
    );
    return rows[0]?.count ?? 0;
  });
  if (count === 0) return;
  const notes = [`Unlogged tables come back empty: the database has ${count}`];
  await noteStep(database.db, work.operation.id, { notes });
}

/** Undefined when the live server doesn't run: that may be why it is restored. */
async function readToday(live: Connection, signal: AbortSignal): Promise<readonly LoginRole[] | undefined> {
  try {
    return await readLoginRoles(live, signal);
  } catch (error) {
    if (isErrorCode(error, "server_not_running")) return undefined;
    throw error;
  }
}

function describeRoles({ gone, returned }: { gone: readonly string[]; returned: readonly string[] }): string[] {
  return [
    ...gone.map((name) => `The user "${name}" was made later and is gone`),
    ...returned.map((name) => `The user "${name}" was removed later and is back, with the password of then`),
  ];
}

/** The highest timeline that the repository or the control database knows of. */
async function takeTimeline({ database }: ControlContext, addonId: AddonId, newest: TimelineId): Promise<TimelineId> {
  const stream = await database.db
    .selectFrom("wal_streams")
    .select("timeline")
    .where("addon_id", "=", addonId)
    .executeTakeFirst();
  const highest = toTimelineId(Math.max(newest, stream?.timeline ?? 0));
  return await giveOutTimeline(database.db, { addonId, newest: highest });
}

function newestOf({ lineage, target }: Parameters<typeof executeRestore>[1]): TimelineId {
  return toTimelineId(Math.max(newestTimeline(lineage, []) ?? 0, target.branch.timeline));
}

/** A branch of an unknown history is none that a receiver may follow. */
async function noteBuilt(
  { database }: ControlContext,
  { operation, logger }: OperationWork,
  built: {
    lineage: LineageId | undefined;
    timeline: TimelineId;
    left: { readonly timeline: TimelineId; readonly end: Lsn };
  },
): Promise<void> {
  const { lineage, timeline, left } = built;
  await database.db.transaction().execute(async (transaction) => {
    const branch = { timeline, parent: left.timeline, at: left.end };
    if (lineage !== undefined) await noteBranch(transaction, { addonId: operation.addon_id, lineage, ...branch });
    await noteStep(transaction, operation.id, { phase: "built", switchLsn: left.end });
  });
  logger.info({ timeline, parent: left.timeline }, "a copy is ready to take the database's place");
}
