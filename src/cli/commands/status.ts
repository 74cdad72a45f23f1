import type { CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import { statusReply } from "../replies.ts";
import type { Backup } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
import type { TimeZone } from "../time-zone.ts";

export const status: CommandSpec = {
  name: "status",
  group: "Platform",
  summary: "Show the platform, your databases and their last backups",
  examples: ["status", "status --json"],
  async run(call) {
    const zone = await call.timeZone();
    const client = await call.connect();
    const { value, body } = await client.get("/v1/status", statusReply);
    const { platform, databases } = value;
    call.output.status(`Tidemark ${platform.version} is ${platform.state}`);
    const rows = databases.map((database) => [
      database.app,
      database.resource_id,
      database.status,
      database.last_backup?.status ?? "none",
      describeGood(database.last_good_backup, zone),
    ]);
    call.output.result(renderTable(["App", "Database", "Status", "Last Backup", "Last Good Backup"], rows));
    for (const database of databases) {
      if (database.status_reason !== null) call.output.warning(`${database.resource_id}: ${database.status_reason}`);
      const failure = database.last_backup?.error;
      if (failure) call.output.warning(`${database.resource_id}: the last backup failed: ${failure.message}`);
    }
    call.output.json(body);
  },
};

function describeGood(backup: Backup | null, zone: TimeZone): string {
  return backup === null ? "none" : `${formatDate(backup.created_at, zone)}, ${formatSizeSi(backup.size ?? 0)}`;
}
