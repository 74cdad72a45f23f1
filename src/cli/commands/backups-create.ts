import { isErrorCode, TidemarkError } from "../../core/errors.ts";
import { OTHER_BACKUP_WAIT_MAX_MS, OWN_BACKUP_WAIT_MAX_MS, waitForBackup } from "../backup-wait.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import type { DatabaseTarget } from "../database-target.ts";
import { backupReply } from "../replies.ts";
import type { Backup } from "../replies.ts";
import { route } from "../transport.ts";
import type { Reply } from "../transport.ts";

export const backupsCreate: CommandSpec = {
  name: "backups-create",
  group: "Backups",
  summary: "Back up a database now and wait for the end",
  details:
    "When a backup of this database is running already, waits for its end first (6 hours at most), then starts its own. " +
    "Ctrl+C ends the waiting, not the backup. A failed backup prints the reason and ends with exit code 1.",
  options: [{ flags: "--detach", summary: "Start it and don't wait" }],
  examples: [
    "--app my-app --addon postgresql backups-create",
    "--app my-app --addon postgresql backups-create --detach",
  ],
  async run(call) {
    const target = await openDatabaseTarget(call);
    const created = await startBackup(call, target);
    const backupId = created.value.database_backup.id;
    if (call.flag("detach")) {
      call.output.status(`Backup ${backupId} has been scheduled`);
      call.output.info(`See it with: ${listCommand(target)}`);
      call.output.json(created.body);
      return;
    }
    const ended = await waitForOwn(call, target, backupId);
    call.output.json(ended.body);
    const backup = ended.value.database_backup;
    if (backup.status !== "done") throw failure(backup);
    call.output.status("Backup successfully finished");
  },
};

async function startBackup(call: CommandCall, target: DatabaseTarget): Promise<Reply<{ database_backup: Backup }>> {
  const deadlineMs = call.clock.now().getTime() + OTHER_BACKUP_WAIT_MAX_MS;
  for (;;) {
    try {
      return await target.api.post(route`/api/databases/${target.addonId}/backups`, {}, backupReply);
    } catch (error) {
      const otherId = isErrorCode(error, "backup_running") ? error.details?.["backup_id"] : undefined;
      const waitMaxMs = deadlineMs - call.clock.now().getTime();
      if (typeof otherId !== "string" || call.flag("detach") || waitMaxMs <= 0) throw error;
      const hours = OTHER_BACKUP_WAIT_MAX_MS / 3_600_000;
      call.output.status(`Backup ${otherId} is running already: waiting for its end, ${hours} hours at most`);
      await waitForBackup(call, target, { backupId: otherId, waitMaxMs });
    }
  }
}

async function waitForOwn(
  call: CommandCall,
  target: DatabaseTarget,
  backupId: string,
): Promise<Reply<{ database_backup: Backup }>> {
  try {
    return await waitForBackup(call, target, { backupId, waitMaxMs: OWN_BACKUP_WAIT_MAX_MS });
  } catch (error) {
    if (isErrorCode(error, "interrupted")) {
      call.output.status(`Backup ${backupId} goes on`);
      call.output.info(`See it with: ${listCommand(target)}`);
    }
    throw error;
  }
}

function failure({ id, error }: Backup): TidemarkError {
  const reason = error === null ? "" : `: ${error.message}`;
  return new TidemarkError("backup_failed", `Backup ${id} failed${reason}`, {
    ...(error?.hint === null || error === null ? {} : { hint: error.hint }),
    ...(error === null ? {} : { details: { backup_error: error.code } }),
  });
}

function listCommand({ app, reference }: DatabaseTarget): string {
  return `tidemark --app ${app} --addon ${reference} backups`;
}
