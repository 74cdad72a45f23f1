import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatDate } from "../date-text.ts";
import { showLogicalRestore } from "../logical-restore-text.ts";
import { logicalRestoreReply, logicalRestoresReply } from "../replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const backupsRestores: CommandSpec = {
  name: "backups-restores",
  group: "Backups",
  summary: "List the restores of backups into a database, or tell what became of one",
  arguments: [{ name: "[restore]", summary: "Its id: tells every object that was not restored, and why" }],
  examples: [
    "--app my-app --addon postgresql backups-restores",
    "--app my-app --addon postgresql backups-restores 69230c1fa7b8c9d0e1f2a3b4",
  ],
  async run(call) {
    const { api, client, addonId } = await openDatabaseTarget(call);
    const id = call.optionalArgument(0);
    if (id !== undefined) {
      // With the user's own token: it may have gone into another database.
      const { value, body } = await client.get(route`/api/logical_restores/${id}`, logicalRestoreReply);
      const restore = value.logical_restore;
      call.output.status(`Restore of backup ${restore.backup_id} into ${restore.resource_id}: ${restore.status}`);
      if (restore.error !== null) call.output.info(restore.error.message);
      showLogicalRestore(call, restore);
      return call.output.json(body);
    }
    const zone = await call.timeZone();
    const { value, body } = await api.get(route`/api/databases/${addonId}/logical_restores`, logicalRestoresReply);
    const rows = value.logical_restores.map(
      ({ id: each, backup_id: backup, created_at: createdAt, status, counts }) => [
        each,
        backup,
        formatDate(createdAt, zone),
        status,
        counts === null ? "" : String(counts.restored),
        counts === null ? "" : String(counts.failed + counts.unknown),
      ],
    );
    call.output.result(renderTable(["ID", "Backup", "Created At", "Status", "Restored", "Not restored"], rows));
    call.output.json(body);
  },
};
