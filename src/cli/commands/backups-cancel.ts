import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { backupReply } from "../replies.ts";
import { route } from "../transport.ts";

export const backupsCancel: CommandSpec = {
  name: "backups-cancel",
  group: "Backups",
  summary: "End a backup that is scheduled or running",
  arguments: [{ name: "<backup>", summary: "Its id, as `backups` lists it" }],
  examples: ["--app my-app --addon postgresql backups-cancel 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const { api, addonId } = await openDatabaseTarget(call);
    const backupId = call.argument(0);
    const { body } = await api.post(route`/api/databases/${addonId}/backups/${backupId}/cancel`, {}, backupReply);
    call.output.status(`Backup ${backupId} has been cancelled`);
    call.output.json(body);
  },
};
