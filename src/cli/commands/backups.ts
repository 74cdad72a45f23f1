import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatDate } from "../date-text.ts";
import type { Colour } from "../output.ts";
import { backupsReply } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
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
  examples: ["--app my-app --addon postgresql backups", "--app my-app --addon postgresql backups --json"],
  async run(call) {
    const zone = await call.timeZone();
    const { api, addonId } = await openDatabaseTarget(call);
    const { value, body } = await api.get(route`/api/databases/${addonId}/backups`, backupsReply);
    const rows = value.database_backups.map((backup) => [
      backup.id,
      formatDate(backup.created_at, zone),
      formatSizeSi(backup.size ?? 0),
      call.output.colour(backup.status, STATUS_COLOURS[backup.status] ?? "red"),
    ]);
    call.output.result(renderTable(["ID", "Created At", "Size", "Status"], rows));
    call.output.json(body);
  },
};
