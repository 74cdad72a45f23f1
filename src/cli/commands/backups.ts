import { openBackupSource, RESOURCE_OPTION } from "../backup-source.ts";
import type { CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import type { Colour } from "../output.ts";
import { type Backup, backupsReply } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
import type { TimeZone } from "../time-zone.ts";
import { route } from "../transport.ts";

const STATUS_COLOURS: Readonly<Record<string, Colour>> = {
  done: "green",
  error: "red",
  running: "yellow",
  scheduled: "gray",
};

export const backups: CommandSpec = {
  name: "backups",
  group: "Backups",
  summary: "List a database's backups, newest first",
  options: [{ flags: "--why", summary: "Tell how long each is kept, and why" }, RESOURCE_OPTION],
  examples: [
    "--app my-app --addon postgresql backups",
    "--app my-app --addon postgresql backups --why",
    "backups --resource my_app_4553",
  ],
  async run(call) {
    const zone = await call.timeZone();
    const { api, addon } = await openBackupSource(call);
    const { value, body } = await api.get(route`/api/databases/${addon}/backups`, backupsReply);
    const why = call.flag("why");
    const rows = value.database_backups.map((backup) => {
      const status = call.output.colour(backup.status, STATUS_COLOURS[backup.status] ?? "red");
      const row = [backup.id, formatDate(backup.created_at, zone), formatSizeSi(backup.size ?? 0), status];
      return why ? row.concat(whyCells(backup, zone)) : row;
    });
    const header = ["ID", "Created At", "Size", "Status", ...(why ? ["Method", "Not Before", "Because"] : [])];
    call.output.result(renderTable(header, rows));
    call.output.json(body);
  },
};

function whyCells({ method, kept_until: until, kept_because: because }: Backup, zone: TimeZone): string[] {
  return [method ?? "", until === null ? "" : formatDate(until, zone), because ?? "It goes"];
}
