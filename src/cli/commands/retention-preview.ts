import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatDate } from "../date-text.ts";
import { retentionReply } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const retentionPreview: CommandSpec = {
  name: "retention preview",
  group: "Backups",
  summary: "Show which backups another plan would keep; changes nothing",
  options: [
    { flags: "--plan <plan>", summary: "A plan's name, as addons-plans shows it; default: the database's own" },
  ],
  examples: ["--app my-app --addon postgresql retention preview --plan postgresql-starter-512"],
  async run(call) {
    const zone = await call.timeZone();
    const { api, addonId } = await openDatabaseTarget(call);
    const plan = call.option("plan");
    const query = plan === undefined ? "" : `?${new URLSearchParams({ plan }).toString()}`;
    const { value, body } = await api.get(route`/api/databases/${addonId}/retention` + query, retentionReply);
    const rows = value.retention.map((verdict) => [
      verdict.id,
      formatDate(verdict.created_at, zone),
      formatSizeSi(verdict.size ?? 0),
      verdict.method,
      verdict.kept ? call.output.colour("kept", "green") : call.output.colour("goes", "red"),
      verdict.kept_until === null ? "" : formatDate(verdict.kept_until, zone),
      verdict.reason,
    ]);
    call.output.result(renderTable(["ID", "Created At", "Size", "Method", "Verdict", "Not Before", "Because"], rows));
    const going = value.retention.filter(({ kept }) => !kept).length;
    call.output.status(`${going} of ${value.retention.length} backups would go`);
    call.output.json(body);
  },
};
