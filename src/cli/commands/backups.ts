import type { CommandCall, CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatDate } from "../date-text.ts";
import type { Colour } from "../output.ts";
import { type Backup, backupsReply } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
import type { TimeZone } from "../time-zone.ts";
import { type Reply, route } from "../transport.ts";

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
  details: "With --resource it needs neither --app nor --addon, and finds what a removed database has left.",
  options: [
    { flags: "--why", summary: "Tell how long each is kept, and why" },
    { flags: "--resource <id>", summary: "Resource id of a database, such as my_app_4553; also of a removed one" },
  ],
  examples: [
    "--app my-app --addon postgresql backups",
    "--app my-app --addon postgresql backups --why",
    "backups --resource my_app_4553",
  ],
  async run(call) {
    const zone = await call.timeZone();
    const { value, body } = await askForBackups(call);
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

async function askForBackups(call: CommandCall): Promise<Reply<{ database_backups: Backup[] }>> {
  const resource = call.option("resource");
  if (resource !== undefined) {
    const client = await call.connect();
    return await client.get(route`/api/databases/${resource}/backups`, backupsReply);
  }
  const { api, addonId } = await openDatabaseTarget(call);
  return await api.get(route`/api/databases/${addonId}/backups`, backupsReply);
}

function whyCells({ method, kept_until: until, kept_because: because }: Backup, zone: TimeZone): string[] {
  return [method ?? "", until === null ? "" : formatDate(until, zone), because ?? "It goes"];
}
