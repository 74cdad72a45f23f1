import { captureLogicalBackup, dumpSessionPrefix } from "../capture/logical-backup.ts";
import { isErrorCode, TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { BACKUP_ROLE } from "../instances/managed-roles.ts";
import type { ServiceUser } from "../instances/service-user.ts";
import { type Connection, withSession } from "../postgres/connection.ts";
import { choosePrograms, type Programs } from "../postgres/programs.ts";
import { writeDatabaseKey } from "../repository/database-keys.ts";
import { type LogicalManifest, readLogicalManifest } from "../repository/logical-manifest.ts";
import type { Repository } from "../repository/repository.ts";
import { type ControlContext, unwrapText } from "./context.ts";
import { readEventActor, readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { OperationHandler, OperationWork, StoreResult } from "./operation-runner.ts";
import { insertOperationUnlessOpen } from "./operations.ts";

export interface LogicalBackupPlace {
  readonly repository: Repository;
  readonly installed: readonly Programs[];
  readonly user: ServiceUser;
  /** Folder of the sockets of this machine's databases. */
  readonly socketFolder: string;
}

/**
 * Handler of `logical_backup`. An attempt that died after it had committed is found by its manifest and counts; any other leaves no trace
 * that is offered.
 */
export function logicalBackupHandler(context: ControlContext, place: LogicalBackupPlace): OperationHandler {
  return async (work) => {
    const backup = await readRequest(context, work.operation.id);
    const identity = await context.secrets.unwrapDatabaseKey(backup.addonId, backup.wrappedIdentity);
    const object = { databaseId: backup.addonId, backupId: backup.id };
    const readCommitted = () => readLogicalManifest(place.repository, object, identity, { signal: work.signal });
    const committed = await readCommitted();
    if (committed !== undefined) return storeManifest(context, { work, backup }, committed);
    try {
      return storeManifest(context, { work, backup }, await capture(context, place, { backup, work }));
    } catch (error) {
      // A worker that was thought dead has committed meanwhile: its backup is as good.
      const other = isErrorCode(error, "object_exists") ? await readCommitted() : undefined;
      if (other === undefined) throw error;
      return storeManifest(context, { work, backup }, other);
    }
  };
}

type Request = Awaited<ReturnType<typeof readRequest>>;

async function readRequest({ database }: ControlContext, operationId: ObjectId) {
  return await database.db
    .selectFrom("backups")
    .innerJoin("databases", "databases.addon_id", "backups.addon_id")
    .innerJoin("addons", "addons.id", "backups.addon_id")
    .select([
      "backups.id as id",
      "backups.addon_id as addonId",
      "backups.method as method",
      "addons.resource_id as resourceId",
      "databases.host_id as hostId",
      "databases.major as major",
      "databases.port as port",
      "databases.recipient as recipient",
      "databases.wrapped_identity as wrappedIdentity",
      "databases.wrapped_backup_password as wrappedPassword",
    ])
    .where("backups.operation_id", "=", operationId)
    .executeTakeFirstOrThrow();
}

async function capture(
  { secrets, clock }: ControlContext,
  { repository, installed, user, socketFolder }: LogicalBackupPlace,
  { backup, work }: { backup: Request; work: OperationWork },
): Promise<LogicalManifest> {
  const { signal } = work;
  if (backup.port === null)
    throw new TidemarkError("server_not_running", `The database ${backup.resourceId} has no server`);
  // Beside the backups, so that the repository and the master key suffice to open them.
  await writeDatabaseKey(repository, backup.addonId, backup.wrappedIdentity, { signal });
  const connection = {
    host: socketFolder,
    port: backup.port,
    user: BACKUP_ROLE,
    password: await unwrapText(secrets, backup.wrappedPassword, `backup password of ${backup.resourceId}`),
    database: backup.resourceId,
  };
  if (work.operation.attempt > 1) await endLeftoverDumps(connection, { backupId: backup.id, signal });
  return await captureLogicalBackup(
    {
      repository,
      databaseId: backup.addonId,
      backupId: backup.id,
      resourceId: backup.resourceId,
      method: backup.method,
      recipients: [backup.recipient],
      connection,
      programsFolder: choosePrograms(installed, backup.major).binFolder,
      ...(user.isSwitchedFromRoot ? { runAs: { uid: user.uid, gid: user.gid } } : {}),
      clock,
    },
    {
      signal,
      onProgress: ({ phase, bytes }) => {
        if (phase === "dumping") work.progress(bytes);
      },
    },
  );
}

/**
 * Ends the sessions of this backup's earlier attempts: a pg_dump whose worker was killed notices only when it writes, and until then may wait for a
 * lock, with others waiting behind it. A role may end its own sessions.
 */
async function endLeftoverDumps(
  connection: Connection,
  { backupId, signal }: { backupId: string; signal: AbortSignal },
): Promise<void> {
  await withSession(connection, { applicationName: "tidemark-backup", signal }, async (client) => {
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where usename = current_user and starts_with(application_name, $1)`,
      [dumpSessionPrefix(backupId)],
    );
  });
}

/** The backup is there, so an older one may go: that is an operation of its own, which no backup waits for. */
function storeManifest(
  { clock, queue }: ControlContext,
  { work: { operation }, backup }: { work: OperationWork; backup: Request },
  manifest: LogicalManifest,
): StoreResult {
  return async (transaction) => {
    await transaction
      .updateTable("backups")
      .set({
        name: manifest.archive.fileName.replace(/\.tar\.gz$/, ""),
        size_bytes: manifest.archive.sizeBytes,
        sha256: manifest.archive.sha256,
      })
      .where("id", "=", backup.id)
      .execute();
    const id = newObjectId(clock.now());
    const expiry = await insertOperationUnlessOpen(transaction, {
      id,
      kind: "expire_backups",
      addonId: backup.addonId,
    });
    if (expiry !== undefined) await queue.send(expiry, backup.hostId, transaction);
    const addon = await readEventAddon(transaction, backup.addonId);
    const at = clock.now();
    await recordDatabaseEvent(transaction, addon, {
      type: "database_backup_succeeded",
      data: {
        backup_id: backup.id,
        backup_method: backup.method,
        backup_status: "done",
        started_at: operation.started_at?.toISOString() ?? null,
        ended_at: at.toISOString(),
        error: null,
      },
      actor: await readEventActor(transaction, operation.requested_by),
      at,
    });
  };
}
