import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Transaction } from "kysely";
import { asTidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { listDataFolders, newDataFolderName, removeDataFolder } from "../instances/data-folders.ts";
import { managedFolder } from "../instances/managed-database.ts";
import { SUPERUSER } from "../instances/server-definition.ts";
import { makePassage } from "../instances/server-files.ts";
import { choosePrograms } from "../postgres/programs.ts";
import { makePrivateFolder } from "../restore/restore-folder.ts";
import { executeRestore } from "../restore/restore.ts";
import { openContinuousSource } from "./base-backup.ts";
import type { ControlContext } from "./context.ts";
import type { OperationHandler, OperationWork } from "./operation-runner.ts";
import { ATTEMPTS_MAX, insertOperation } from "./operations.ts";
import type { PointInTimePlace } from "./point-in-time-build.ts";
import { planPointInTimeRestore } from "./point-in-time-plan.ts";
import type { ControlSchema } from "./schema.ts";

/** Of an operation's id; the socket of a copy has a short path. */
const RUN_FOLDER_ID_DIGITS = 10;

/**
 * Handler of `addon_copy`: builds the new database's data folder from the source's backups, in place and stopped, and leaves the rest to `provision`: names,
 * passwords, slot and start are those of any new database. An interrupted attempt is repeated from nothing. When the copy fails for good, its addon is removed.
 */
export function addonCopyHandler(context: ControlContext, place: PointInTimePlace): OperationHandler {
  return async (work) => {
    const request = await readRequest(context, work.operation.id);
    try {
      const dataFolder = await build(context, place, { request, work });
      return async (transaction) => {
        await transaction
          .updateTable("databases")
          .set({ data_folder: dataFolder })
          .where("addon_id", "=", request.addonId)
          .execute();
        await begin(context, transaction, { kind: "provision", request });
      };
    } catch (thrown) {
      if (isFinal(thrown, work)) await giveUp(context, request);
      throw thrown;
    }
  };
}

type Request = Awaited<ReturnType<typeof readRequest>>;

async function readRequest({ database }: ControlContext, operationId: ObjectId) {
  return await database.db
    .selectFrom("addon_copies")
    .innerJoin("databases", "databases.addon_id", "addon_copies.addon_id")
    .innerJoin("operations", "operations.id", "addon_copies.operation_id")
    .select([
      "addon_copies.addon_id as addonId",
      "addon_copies.source_addon_id as sourceAddonId",
      "addon_copies.target",
      "addon_copies.is_exclusive as isExclusive",
      "addon_copies.branch",
      "databases.host_id as hostId",
      "databases.major",
      "operations.requested_by as requestedBy",
    ])
    .where("addon_copies.operation_id", "=", operationId)
    .executeTakeFirstOrThrow();
}

/** @returns the name of the data folder, whole and stopped */
async function build(
  context: ControlContext,
  place: PointInTimePlace,
  { request, work }: { request: Request; work: OperationWork },
): Promise<string> {
  const { clock } = context;
  const { operation, signal } = work;
  const { user } = place;
  const databaseFolder = managedFolder(place, request);
  const runFolder = join(place.socketFolder, `copy-${operation.id.slice(-RUN_FOLDER_ID_DIGITS)}`);
  const owner = user.isSwitchedFromRoot ? { uid: user.uid, gid: user.gid } : undefined;
  // Of attempts that were interrupted: a server may still recover in one of them.
  for (const name of await listDataFolders(databaseFolder)) await removeDataFolder(databaseFolder, name, clock);
  await rm(runFolder, { recursive: true, force: true });
  const source = { addonId: request.sourceAddonId, applicationName: "tidemark restore" };
  const { archive } = await openContinuousSource(context, place, source);
  const name = newDataFolderName(`${operation.id}-${operation.attempt}`);
  await makePassage(databaseFolder);
  const { prepared } = await planPointInTimeRestore(
    context,
    archive,
    { addonId: request.sourceAddonId, wish: request, folder: join(databaseFolder, name) },
    signal,
  );
  await notePlan(context, operation.id, {
    totalBytes: prepared.target.base.volumes.reduce((sum, volume) => sum + volume.plainBytes, 0),
    targetLsn: prepared.plan.target.lsn,
  });
  await mkdir(place.socketFolder, { recursive: true });
  await makePrivateFolder(runFolder, owner);
  try {
    await executeRestore(archive, prepared, {
      programs: choosePrograms(place.installed, request.major),
      owner,
      runFolder,
      roles: [SUPERUSER],
      end: "open",
      clock,
      pid: place.pid,
      signal,
      onProgress: (progress) => {
        if (progress.phase === "fetch") work.progress(progress.doneBytes);
      },
    });
    return name;
  } catch (error) {
    await removeDataFolder(databaseFolder, name, clock);
    throw error;
  } finally {
    await rm(runFolder, { recursive: true, force: true });
  }
}

async function notePlan(
  { database }: ControlContext,
  operationId: ObjectId,
  { totalBytes, targetLsn }: { totalBytes: number; targetLsn: string },
): Promise<void> {
  await database.db
    .updateTable("addon_copies")
    .set({ total_bytes: totalBytes, target_lsn: targetLsn })
    .where("operation_id", "=", operationId)
    .execute();
}

/** Whether the runner won't begin the operation again. */
function isFinal(thrown: unknown, { operation, signal }: OperationWork): boolean {
  const { code, kind } = asTidemarkError(signal.aborted ? signal.reason : thrown);
  if (code === "platform_stopping" || code === "lease_lost") return false;
  return kind !== "transient" || operation.attempt >= ATTEMPTS_MAX;
}

/** An addon that never gets its data is none: what there is of it goes, as with any removal. */
async function giveUp(context: ControlContext, request: Request): Promise<void> {
  await context.database.db.transaction().execute(async (transaction) => {
    const { numUpdatedRows } = await transaction
      .updateTable("addons")
      .set({ state: "removing" })
      .where("id", "=", request.addonId)
      .where("state", "=", "provisioning")
      .executeTakeFirst();
    if (numUpdatedRows !== 0n) await begin(context, transaction, { kind: "remove", request });
  });
}

async function begin(
  { clock, queue }: ControlContext,
  transaction: Transaction<ControlSchema>,
  { kind, request }: { kind: "provision" | "remove"; request: Request },
): Promise<void> {
  const operation = await insertOperation(transaction, {
    id: newObjectId(clock.now()),
    kind,
    addonId: request.addonId,
    requestedBy: request.requestedBy,
  });
  await queue.send(operation, request.hostId, transaction);
}
