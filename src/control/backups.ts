import type { Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import type { UtcDay } from "../policy/utc-day.ts";
import { type AddonFacts, findAddonOfCaller, findAddonWithBackups, type Right } from "./access.ts";
import { readVerdicts } from "./backup-retention.ts";
import { readBackup, readBackups } from "./backup-rows.ts";
import type { ControlContext, SchedulingContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import type { DownloadLinks } from "./download-links.ts";
import { type EventActor, recordDatabaseEvent } from "./events.ts";
import type { Backup, BackupRetention } from "./model.ts";
import { requireNoRestore } from "./exclusive-work.ts";
import { insertOperation, requestCancel } from "./operations.ts";
import type { ControlSchema } from "./schema.ts";
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
    async list(caller, word, options = {}) {
      const addon = await findAddonWithBackups(db, caller, word, "read");
      const verdicts = await readVerdicts(context, addon.id, options);
      const backups = await readBackups(db, { addonId: addon.id, limit: LIST_ROWS_MAX });
      return backups.map((backup) => withRetention(backup, verdicts));
    },
    async create(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word, "operate");
      return await scheduleBackup(context, { addon, method: "manual", actor: caller.principal });
    },
    async show(caller, backupId) {
      const backup = await findBackup(context, caller, { backupId, right: "read" });
      const verdicts = await readVerdicts(context, backup.addonId);
      return withRetention(backup, verdicts);
    },
    cancel: (caller, word, backupId) => cancelBackup(context, caller, { word, backupId }),
    async archiveLink(caller, word, backupId) {
      const backup = await findBackup(context, caller, { backupId, right: "operate" });
      const addon = await findAddonWithBackups(db, caller, word, "operate");
      if (backup.addonId !== addon.id) throw backupNotFound(backupId);
      requireDone(backup);
      const data = { backup_id: backup.id, backup_method: backup.method };
      const event = { type: "database_backup_downloaded", data, actor: caller.principal } as const;
      await recordDatabaseEvent(db, addon, { ...event, at: context.clock.now() });
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

function withRetention(backup: Backup, verdicts: ReadonlyMap<string, BackupRetention>): Backup {
  return { ...backup, retention: verdicts.get(backup.id) ?? null };
}

/** Starts a backup that somebody asked for. `backup_running` names the one that is open already. */
export async function scheduleBackup(
  context: ControlContext,
  { addon, method, actor }: { addon: AddonFacts; method: "manual"; actor: EventActor },
): Promise<Backup> {
  const { db } = context.database;
  requireRunning(addon);
  const requestedBy = actor === "platform" ? null : actor.userId;
  let id: ObjectId;
  try {
    id = await db.transaction().execute(async (transaction) => {
      const made = await insertBackup(context, transaction, { addon, method, night: null, requestedBy });
      const event = { type: "database_backup_requested", actor, at: context.clock.now() } as const;
      await recordDatabaseEvent(transaction, addon, { ...event, data: { backup_id: made, backup_method: method } });
      return made;
    });
  } catch (error) {
    if (violatedConstraint(error, UNIQUE_VIOLATION) !== "operations_one_open") throw error;
    throw await backupRunning(context, addon);
  }
  const backup = await readBackup(db, id);
  if (backup === undefined) throw new TidemarkError("bug", `The backup "${id}" that was just stored is gone`);
  return backup;
}

/** Adds a backup and its operation and sends the job; violates `operations_one_open` while another is open, `conflict` during a restore in place. */
export async function insertBackup(
  { clock, queue }: SchedulingContext,
  transaction: Transaction<ControlSchema>,
  input: {
    addon: Pick<AddonFacts, "id" | "host_id">;
    method: Backup["method"];
    night: UtcDay | null;
    requestedBy: ObjectId | null;
  },
): Promise<ObjectId> {
  await requireNoRestore(transaction, input.addon.id);
  const id = newObjectId(clock.now());
  const operation = await insertOperation(transaction, {
    id: newObjectId(clock.now()),
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
      night: input.night,
      created_at: clock.now(),
      name: null,
      size_bytes: null,
      sha256: null,
    })
    .execute();
  await queue.send(operation, input.addon.host_id, transaction);
  return id;
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
  const addon = await findAddonOfCaller(db, caller, word, "operate");
  const backup = await findBackup(context, caller, { backupId, right: "operate" });
  if (backup.addonId !== addon.id) throw backupNotFound(backupId);
  const { operation_id: operationId } = await db
    .selectFrom("backups")
    .select("operation_id")
    .where("id", "=", backup.id)
    .executeTakeFirstOrThrow();
  if (backup.endedAt !== null) {
    throw new TidemarkError("conflict", `The backup ${backupId} has ended already, as "${backup.status}"`);
  }
  await db.transaction().execute(async (transaction) => {
    const reason = new TidemarkError("cancelled", `Cancelled by ${caller.principal.username}`);
    await requestCancel(transaction, operationId, reason);
    const data = { backup_id: backup.id, backup_method: backup.method };
    const event = { type: "database_backup_cancelled", data, actor: caller.principal } as const;
    await recordDatabaseEvent(transaction, addon, { ...event, at: context.clock.now() });
  });
  return await findBackup(context, caller, { backupId, right: "operate" });
}

async function findBackup(
  { database }: ControlContext,
  caller: DatabaseCaller,
  { backupId, right }: { backupId: string; right: Right },
): Promise<Backup> {
  const backup = await readBackup(database.db, backupId);
  if (backup === undefined) throw backupNotFound(backupId);
  try {
    await findAddonWithBackups(database.db, caller, backup.addonId, right);
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
