import { randomBytes } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import { BACKUP_ROLE } from "../instances/managed-roles.ts";
import { type Connection, withSession } from "../postgres/connection.ts";
import { choosePrograms } from "../postgres/programs.ts";
import { openLogicalArchive } from "../repository/logical-archive.ts";
import { readLogicalManifest } from "../repository/logical-manifest.ts";
import type { RestoredObject } from "../restore/logical-report.ts";
import { type LogicalRestoreReport, restoreLogicalDump } from "../restore/logical-restore.ts";
import { type ControlContext, unwrapText } from "./context.ts";
import { readEventActor, readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { LogicalBackupPlace } from "./logical-backup.ts";
import { type StoredReport, storeReport } from "./logical-restores.ts";
import type { OperationHandler, OperationWork } from "./operation-runner.ts";

/** Of a dump with more objects, those that failed come first: this is some megabytes of text in one row. */
const STORED_OBJECTS_MAX = 10_000;
/** As many failures as a message can hold. */
const NAMED_FAILURES_MAX = 3;

/**
 * Handler of `logical_restore`. An attempt that was interrupted is repeated whole: what the dump has is dropped first. It ends as `done` only when no object
 * failed; otherwise as `restore_incomplete`, which is not repeated, with the account stored.
 */
export function logicalRestoreHandler(context: ControlContext, place: LogicalBackupPlace): OperationHandler {
  return async (work) => {
    const request = await readRequest(context, work.operation.id);
    const report = await restore(context, place, { request, work });
    const stored = storedReport(report);
    const failure = failureOf(request, report);
    if (failure !== undefined) {
      // The operation ends as an error, in a transaction that the runner makes.
      await storeReport(context.database.db, request.id, stored);
      throw failure;
    }
    return async (transaction) => {
      await storeReport(transaction, request.id, stored);
      const addon = await readEventAddon(transaction, request.addonId);
      await recordDatabaseEvent(transaction, addon, {
        type: "database_restore_succeeded",
        data: { restore_id: request.id, target: `backup ${request.backupId}` },
        actor: await readEventActor(transaction, request.requestedBy),
        at: context.clock.now(),
      });
    };
  };
}

type Request = Awaited<ReturnType<typeof readRequest>>;

async function readRequest({ database }: ControlContext, operationId: ObjectId) {
  return await database.db
    .selectFrom("logical_restores")
    .innerJoin("operations", "operations.id", "logical_restores.operation_id")
    .innerJoin("addons", "addons.id", "logical_restores.addon_id")
    .innerJoin("databases as target", "target.addon_id", "logical_restores.addon_id")
    .innerJoin("databases as source", "source.addon_id", "logical_restores.source_addon_id")
    .select([
      "logical_restores.id as id",
      "logical_restores.addon_id as addonId",
      "logical_restores.source_addon_id as sourceAddonId",
      "logical_restores.backup_id as backupId",
      "operations.requested_by as requestedBy",
      "addons.resource_id as resourceId",
      "target.major as major",
      "target.port as port",
      "target.wrapped_owner_password as wrappedOwnerPassword",
      "target.wrapped_backup_password as wrappedBackupPassword",
      "source.wrapped_identity as wrappedIdentity",
    ])
    .where("logical_restores.operation_id", "=", operationId)
    .executeTakeFirstOrThrow();
}

async function restore(
  context: ControlContext,
  place: LogicalBackupPlace,
  { request, work }: { request: Request; work: OperationWork },
): Promise<LogicalRestoreReport> {
  const { secrets, database, clock } = context;
  const { signal } = work;
  const { repository, installed, user } = place;
  const identity = await secrets.unwrapDatabaseKey(request.sourceAddonId, request.wrappedIdentity);
  const object = { databaseId: request.sourceAddonId, backupId: request.backupId };
  const manifest = await readLogicalManifest(repository, object, identity, { signal });
  if (manifest === undefined)
    throw new TidemarkError("object_not_found", `The repository has no manifest of the backup ${request.backupId}`, {
      hint: "It has expired, or somebody removed it from the storage; restore another backup",
    });
  const archive = await openLogicalArchive(repository, manifest, identity, { signal });
  await database.db
    .updateTable("logical_restores")
    .set({ total_bytes: manifest.dump.sizeBytes })
    .where("id", "=", request.id)
    .execute();
  const { connection, watchConnection } = await connections(context, place, request);
  const sessionPrefix = `tidemark-restore-${request.id}-`;
  if (work.operation.attempt > 1) await endLeftovers(connection, { sessionPrefix, signal });
  return await restoreLogicalDump(
    {
      connection,
      watchConnection,
      applicationName: `${sessionPrefix}${randomBytes(4).toString("hex")}`,
      readDump: (readSignal) => archive.readDump(readSignal),
      programsFolder: choosePrograms(installed, request.major).binFolder,
      ...(user.isSwitchedFromRoot ? { runAs: { uid: user.uid, gid: user.gid } } : {}),
      clock,
    },
    { signal, onProgress: (bytes) => work.progress(bytes) },
  );
}

async function connections(
  { secrets }: ControlContext,
  { socketFolder }: LogicalBackupPlace,
  request: Request,
): Promise<{ readonly connection: Connection; readonly watchConnection: Connection }> {
  const { resourceId, port } = request;
  if (port === null) throw new TidemarkError("server_not_running", `The database ${resourceId} has no server`);
  const server = { host: socketFolder, port, database: resourceId };
  const ownerPassword = await unwrapText(secrets, request.wrappedOwnerPassword, `password of ${resourceId}`);
  const backupPassword = await unwrapText(secrets, request.wrappedBackupPassword, `backup password of ${resourceId}`);
  return {
    connection: { ...server, user: resourceId, password: ownerPassword },
    watchConnection: { ...server, user: BACKUP_ROLE, password: backupPassword },
  };
}

/** The pg_restore of a worker that was killed goes on until it notices: two at once would undo each other's work. */
async function endLeftovers(
  connection: Connection,
  { sessionPrefix, signal }: { sessionPrefix: string; signal: AbortSignal },
): Promise<void> {
  await withSession(connection, { applicationName: "tidemark restore", signal }, async (client) => {
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where usename = current_user and starts_with(application_name, $1)`,
      [sessionPrefix],
    );
  });
}

function storedReport({ objects }: LogicalRestoreReport): StoredReport {
  const isFailure = ({ outcome }: RestoredObject): boolean => outcome === "failed" || outcome === "unknown";
  const failuresFirst = [...objects.filter(isFailure), ...objects.filter((object) => !isFailure(object))];
  const count = (wanted: RestoredObject["outcome"]): number =>
    objects.filter(({ outcome }) => outcome === wanted).length;
  return {
    counts: { restored: count("restored"), failed: count("failed"), kept: count("kept"), unknown: count("unknown") },
    objects: failuresFirst.slice(0, STORED_OBJECTS_MAX),
  };
}

/** Undefined when every object is there. */
function failureOf(request: Request, { objects, endedEarly }: LogicalRestoreReport): TidemarkError | undefined {
  const failed = objects.filter(({ outcome }) => outcome === "failed");
  if (failed.length === 0 && endedEarly === null) return undefined;
  const named = failed.slice(0, NAMED_FAILURES_MAX).map(({ object, reason }) => {
    return `${object} (${reason?.split("\n")[0] ?? ""})`;
  });
  const early = endedEarly === null ? [] : [`pg_restore ended early: ${endedEarly}`];
  return new TidemarkError(
    "restore_incomplete",
    `${failed.length} of ${objects.length} objects of backup ${request.backupId} could not be restored into ${request.resourceId}: ` +
      [...early, ...named].join("; "),
    { hint: "The restore's report names every object and reason; put the cause right and restore again" },
  );
}
