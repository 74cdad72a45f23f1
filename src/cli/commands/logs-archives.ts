import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { logArchivesReply } from "../database-replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const logsArchives: CommandSpec = {
  name: "logs-archives",
  aliases: ["la"],
  group: "Databases",
  summary: "List what was set aside of a database's log, with addresses to fetch it",
  details: "An address opens its file for an hour, without a login.",
  examples: ["--app my-app --addon postgresql logs-archives"],
  async run(call) {
    const { api, addonId } = await openDatabaseTarget(call);
    const { value, body } = await api.get(route`/api/databases/${addonId}/logs_archives`, logArchivesReply);
    call.output.json(body);
    if (value.archives.length === 0) return call.output.status("Nothing was set aside: the log is not full yet");
    const rows = value.archives.map(({ from, to, size, url }) => [from, to, String(size), url]);
    call.output.result(renderTable(["From", "To", "Size", "URL"], rows));
  },
};
