import { TidemarkError } from "../core/errors.ts";
import type { CommandCall } from "./command.ts";
import type { DatabaseTarget } from "./database-target.ts";
import { backupReply } from "./replies.ts";
import type { Backup } from "./replies.ts";
import { formatSizeBinary } from "./size-text.ts";
import { route } from "./transport.ts";
import type { Reply } from "./transport.ts";

/** How often the state of a backup is asked for. */
export const POLL_INTERVAL_MS = 1000;
/** A platform that restarts is back long before; one that isn't is reported. */
const OUTAGE_MAX_MS = 60_000;
/** Longest wait for another's backup to end before ours can start. A dump that takes longer needs a look, not a queue. */
export const OTHER_BACKUP_WAIT_MAX_MS = 6 * 3_600_000;
/** Longest wait for our own: the platform itself gives up on a backup by then. */
export const OWN_BACKUP_WAIT_MAX_MS = 24 * 3_600_000;

type BackupReply = Reply<{ database_backup: Backup }>;

/**
 * Asks for the backup's state each second until it has ended, well or not, and returns the last answer. A platform that can't be reached for a
 * moment, while it restarts say, is asked again.
 *
 * `backup_running` when it is still running after `waitMaxMs`.
 */
export async function waitForBackup(
  call: CommandCall,
  target: DatabaseTarget,
  { backupId, waitMaxMs }: { backupId: string; waitMaxMs: number },
): Promise<BackupReply> {
  const deadlineMs = call.clock.now().getTime() + waitMaxMs;
  try {
    for (;;) {
      const reply = await askPatiently(call, () => target.api.get(route`/api/backups/${backupId}`, backupReply));
      const backup = reply.value.database_backup;
      if (hasEnded(backup)) return reply;
      if (call.clock.now().getTime() >= deadlineMs) throw tooLong(backupId, waitMaxMs);
      call.output.transient(describe(backup));
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } finally {
    call.output.transient("");
  }
}

function hasEnded(backup: Backup): boolean {
  return backup.status === "done" || backup.status === "error";
}

function describe(backup: Backup): string {
  if (backup.status === "scheduled") return "Waiting for the backup to start";
  const read = backup.progress_bytes === null ? "" : ` (${formatSizeBinary(backup.progress_bytes)} read)`;
  return `Waiting for the backup to finish${read}`;
}

/** Asks again while the platform can't be reached, for as long as a restart takes. */
export async function askPatiently<T>(call: CommandCall, ask: () => Promise<T>): Promise<T> {
  const giveUpMs = call.clock.now().getTime() + OUTAGE_MAX_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const passing = error instanceof TidemarkError && error.kind === "transient";
      if (!passing || call.clock.now().getTime() >= giveUpMs) throw error;
      call.output.transient("Waiting for the platform to answer");
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  }
}

function tooLong(backupId: string, waitMaxMs: number): TidemarkError {
  const hours = waitMaxMs / 3_600_000;
  return new TidemarkError("backup_running", `Backup ${backupId} is still running after ${hours} hours`, {
    hint: `End it with: tidemark backups-cancel ${backupId}`,
  });
}
