import { isErrorCode, TidemarkError } from "../../core/errors.ts";
import { resolveAddonId } from "../addon-reference.ts";
import { askPatiently, POLL_INTERVAL_MS } from "../backup-wait.ts";
import type { ApiClient } from "../client.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { type DatabaseTarget, openDatabaseTarget } from "../database-target.ts";
import { showLogicalRestore } from "../logical-restore-text.ts";
import { createProgressDisplay, type ProgressDisplay } from "../progress-display.ts";
import { backupReply, type LogicalRestore, logicalRestoreReply } from "../replies.ts";
import { type Reply, route } from "../transport.ts";

type RestoreReply = Reply<{ logical_restore: LogicalRestore }>;

export const backupsRestore: CommandSpec = {
  name: "backups-restore",
  group: "Backups",
  summary: "Restore a backup into its database, or into another one, and wait for the end",
  details:
    "What the backup holds replaces what the database has of the same name; what it doesn't hold stays. Every object is reported: when one fails, the others " +
    "are restored all the same, and the exit code is 1. Ctrl+C ends the waiting, not the restore: backups-restores shows it, backups-restores-cancel ends it.",
  arguments: [{ name: "<backup>", summary: "Its id, as `backups` lists it" }],
  options: [
    { flags: "--to <addon>", summary: "Into this database: resource id, or id; one of another app by its id" },
    { flags: "--yes", summary: "Don't ask" },
    { flags: "--detach", summary: "Start it and don't wait" },
  ],
  examples: [
    "--app my-app --addon postgresql backups-restore 69230c1fa7b8c9d0e1f2a3b4",
    "--app my-app --addon postgresql backups-restore 69230c1fa7b8c9d0e1f2a3b4 --to my_app_4554 --yes",
  ],
  async run(call) {
    const target = await openDatabaseTarget(call);
    const to = call.option("to");
    const into = to === undefined ? null : await resolveAddonId(target.client, { app: target.app, reference: to });
    const backupId = call.argument(0);
    // Nobody is asked about a backup that isn't there.
    await target.api.get(route`/api/backups/${backupId}`, backupReply);
    if (!call.flag("yes")) await confirm(call, to ?? target.reference);
    // The token of one database doesn't open another.
    const api = into === null ? target.api : target.client;
    const path = route`/api/databases/${target.addonId}/backups/${backupId}/restore`;
    const created = await api.post(path, { restore: { to: into } }, logicalRestoreReply);
    const { id, resource_id: name } = created.value.logical_restore;
    if (call.flag("detach")) {
      call.output.status(`Restore ${id} of backup ${backupId} into ${name} has been scheduled`);
      call.output.info(`See it with: ${showCommand(target, id)}`);
      return call.output.json(created.body);
    }
    const ended = await waitForEnd(call, { target, api, id });
    call.output.json(ended.body);
    const restore = ended.value.logical_restore;
    showLogicalRestore(call, restore);
    if (restore.status !== "done") throw failure(restore);
    call.output.status(`Backup ${backupId} has been restored into ${name}`);
  },
};

async function confirm(call: CommandCall, name: string): Promise<void> {
  const question = `  /!\\  What the backup holds will replace the data of ${name}. Are you sure? (y/N) `;
  const typed = (await call.prompt.confirm(question, { insteadOf: "--yes" })).trim().toLowerCase();
  if (typed !== "y" && typed !== "yes") throw new TidemarkError("cancelled", "nothing was restored");
}

async function waitForEnd(
  call: CommandCall,
  { target, api, id }: { target: DatabaseTarget; api: ApiClient; id: string },
): Promise<RestoreReply> {
  const display = createProgressDisplay(call.streams.stderr, call.clock);
  try {
    for (;;) {
      const reply = await askPatiently(call, () => api.get(route`/api/logical_restores/${id}`, logicalRestoreReply));
      const restore = reply.value.logical_restore;
      if (restore.status === "done" || restore.status === "error") return reply;
      show(call, display, restore);
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } catch (error) {
    if (isErrorCode(error, "interrupted")) {
      call.output.status(`Restore ${id} goes on`);
      call.output.info(`See it with: ${showCommand(target, id)}`);
    }
    throw error;
  } finally {
    call.output.transient("");
    display.finish();
  }
}

function show(call: CommandCall, display: ProgressDisplay, restore: LogicalRestore): void {
  if (restore.status === "scheduled" || restore.progress_bytes === null) {
    return call.output.transient("Waiting for the restore to start");
  }
  if (!call.json) display.update({ doneBytes: restore.progress_bytes, totalBytes: restore.total_bytes });
}

function failure({ id, error }: LogicalRestore): TidemarkError {
  const reason = error === null ? "" : `: ${error.message}`;
  const hint = error?.hint ?? null;
  return new TidemarkError("restore_incomplete", `Restore ${id} failed${reason}`, {
    ...(hint === null ? {} : { hint }),
    ...(error === null ? {} : { details: { restore_error: error.code } }),
  });
}

function showCommand({ app, reference }: DatabaseTarget, id: string): string {
  return `tidemark --app ${app} --addon ${reference} backups-restores ${id}`;
}
