import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { type AddonFacts, findAddonOfCaller } from "./access.ts";
import { readBackup, readBackups } from "./backup-rows.ts";
import type { ControlContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import type { DownloadLinks } from "./download-links.ts";
import type { Backup } from "./model.ts";
import { insertOperation, requestCancel } from "./operations.ts";
import type { BackupService, DatabaseCaller, Download } from "./services.ts";

/** Far above what any plan keeps. */
const LIST_ROWS_MAX = 1000;

/** Opens the archive of a finished backup, from the repository. */
export type OpenArchive = (backup: Backup) => Promise<Download>;

export function createBackupService(
  context: ControlContext & { readonly links: DownloadLinks; readonly openArchive: OpenArchive },
): BackupService {
  const { db } = context.database;
  return {
    async list(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word);
      return await readBackups(db, { addonId: addon.id, limit: LIST_ROWS_MAX });
    },
    async create(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word);
      return await scheduleBackup(context, { addon, method: "manual", requestedBy: caller.principal.userId });
    },
    show: (caller, backupId) => findBackup(context, caller, backupId),
    cancel: (caller, word, backupId) => cancelBackup(context, caller, { word, backupId }),
    async archiveLink(caller, word, backupId) {
      const backup = await findBackup(context, caller, backupId);
      const addon = await findAddonOfCaller(db, caller, word);
      if (backup.addonId !== addon.id) throw backupNotFound(backupId);
      requireDone(backup);
      return context.links.sign(backup.id);
    },
    async openDownload(input) {
      context.links.check(input);
      const backup = await readBackup(db, input.backupId);
      if (backup === undefined) throw backupNotFound(input.backupId);
      requireDone(backup);
      return await context.openArchive(backup);
    },
  };
}

/** Adds a backup and its operation and sends the job. `backup_running` names the one that is open already. */
export async function scheduleBackup(
  context: ControlContext,
  input: { addon: AddonFacts; method: Backup["method"]; requestedBy: DatabaseCaller["principal"]["userId"] | null },
): Promise<Backup> {
  const { db } = context.database;
  requireRunning(input.addon);
  const id = newObjectId(context.clock.now());
  try {
    await db.transaction().execute(async (transaction) => {
      const operation = await insertOperation(transaction, {
        id: newObjectId(context.clock.now()),
        kind: "logical_backup",
        addonId: input.addon.id,
        requestedBy: input.requestedBy,
      });
      await transaction
        .insertInto("backups")
        .values({
          id,
          addon_id: input.addon.id,
          operation_id: operation.id,
          method: input.method,
          created_at: context.clock.now(),
          name: null,
          size_bytes: null,
          sha256: null,
        })
        .execute();
      await context.queue.send(operation, input.addon.host_id, transaction);
    });
  } catch (error) {
    if (violatedConstraint(error, UNIQUE_VIOLATION) !== "operations_one_open") throw error;
    throw await backupRunning(context, input.addon);
  }
  const backup = await readBackup(db, id);
  if (backup === undefined) throw new TidemarkError("bug", `The backup "${id}" that was just stored is gone`);
  return backup;
}

async function backupRunning({ database }: ControlContext, addon: AddonFacts): Promise<TidemarkError> {
  const [running] = await readBackups(database.db, { addonId: addon.id, limit: 1 });
  return new TidemarkError(
    "backup_running",
    `A backup of ${addon.resource_id} is running already: ${running?.id ?? "unknown"}`,
    {
      hint: "Wait until it has ended, then ask again.",
      details: running === undefined ? {} : { backup_id: running.id },
    },
  );
}

async function cancelBackup(
  context: ControlContext,
  caller: DatabaseCaller,
  { word, backupId }: { word: string; backupId: string },
): Promise<Backup> {
  const { db } = context.database;
  const addon = await findAddonOfCaller(db, caller, word);
  const backup = await findBackup(context, caller, backupId);
  if (backup.addonId !== addon.id) throw backupNotFound(backupId);
  const { operation_id: operationId } = await db
    .selectFrom("backups")
    .select("operation_id")
    .where("id", "=", backup.id)
    .executeTakeFirstOrThrow();
  if (backup.endedAt !== null) {
    throw new TidemarkError("conflict", `The backup ${backupId} has ended already, as "${backup.status}"`);
  }
  await requestCancel(db, operationId, new TidemarkError("cancelled", `Cancelled by ${caller.principal.username}`));
  return await findBackup(context, caller, backupId);
}

async function findBackup({ database }: ControlContext, caller: DatabaseCaller, backupId: string): Promise<Backup> {
  const backup = await readBackup(database.db, backupId);
  if (backup === undefined) throw backupNotFound(backupId);
  try {
    await findAddonOfCaller(database.db, caller, backup.addonId);
  } catch (error) {
    throw error instanceof TidemarkError && error.code === "not_found" ? backupNotFound(backupId) : error;
  }
  return backup;
}

function requireRunning(addon: AddonFacts): void {
  if (addon.state === "running" && addon.status === "running") return;
  const reason = addon.state === "provisioning" ? "it is being made" : (addon.status_reason ?? "its server is stopped");
  throw new TidemarkError("conflict", `The database ${addon.resource_id} can't be backed up now: ${reason}`, {
    hint: "tidemark status shows when it runs.",
  });
}

function requireDone(backup: Backup): void {
  if (backup.status === "done") return;
  const reason = backup.status === "error" ? `it failed: ${backup.error?.message ?? ""}` : `it is ${backup.status}`;
  throw new TidemarkError("conflict", `The backup ${backup.id} can't be downloaded: ${reason}`);
}

function backupNotFound(backupId: string): TidemarkError {
  return new TidemarkError("not_found", `There is no backup "${backupId}"`, {
    hint: "tidemark backups lists those of a database.",
  });
}
