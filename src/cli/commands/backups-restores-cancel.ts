import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { logicalRestoreReply } from "../replies.ts";
import { route } from "../transport.ts";

export const backupsRestoresCancel: CommandSpec = {
  name: "backups-restores-cancel",
  group: "Backups",
  summary: "End a restore of a backup that is scheduled or running",
  details: "What it has restored so far stays: restore again, or from another backup, to put the database right.",
  arguments: [{ name: "<restore>", summary: "Its id, as `backups-restores` lists it" }],
  examples: ["--app my-app --addon postgresql backups-restores-cancel 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const { client } = await openDatabaseTarget(call);
    const id = call.argument(0);
    const { body } = await client.post(route`/api/logical_restores/${id}/cancel`, {}, logicalRestoreReply);
    call.output.status(`Restore ${id} has been cancelled`);
    call.output.json(body);
  },
};
