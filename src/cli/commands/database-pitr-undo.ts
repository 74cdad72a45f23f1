import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { operationReply } from "../point-in-time-replies.ts";
import { showPointInTimeEnd } from "../point-in-time-text.ts";
import { waitForOperation } from "../point-in-time-wait.ts";
import { route } from "../transport.ts";

export const databasePitrUndo: CommandSpec = {
  name: "database-pitr-undo",
  group: "Backups",
  summary: "Put back the data that the last restore in place replaced, and wait for the end",
  details:
    "What was written since the restore is on a branch of its own, which stays restorable; and the data that is replaced now is kept in turn, so that an undoing can be undone. " +
    "Ctrl+C ends the waiting, not the undoing.",
  options: [
    { flags: "--yes", summary: "Don't ask" },
    { flags: "--detach", summary: "Start it and don't wait" },
  ],
  examples: ["--app my-app --addon postgresql database-pitr-undo"],
  async run(call) {
    const target = await openDatabaseTarget(call);
    if (!call.flag("yes")) {
      call.output.info(
        "/!\\  This operation replaces the database's current data by that before the last restore; unlogged tables come back empty",
      );
      const typed = await call.prompt.confirm("       Do you want to confirm? (y/n) ", { insteadOf: "--yes" });
      if (typed.trim() !== "y" && typed.trim() !== "Y") throw new TidemarkError("cancelled", "nothing was undone");
    }
    const begun = await target.api.post(route`/api/databases/${target.addonId}/pitr/undo`, {}, operationReply);
    const { id } = begun.value.operation;
    call.output.status(`Database restore operation ${id} has been created`);
    if (call.flag("detach")) return call.output.json(begun.body);
    const ended = await waitForOperation(call, target, id);
    call.output.json(ended.body);
    call.output.status("The restore has been undone");
    showPointInTimeEnd(call.output, ended.value.operation);
  },
};
