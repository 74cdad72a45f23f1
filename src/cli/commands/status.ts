import type { CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import { durationText } from "../duration-text.ts";
import { statusReply } from "../replies.ts";
import type { Backup, DatabaseHealth } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
import type { TimeZone } from "../time-zone.ts";

const EXIT_CODE_NOT_RESTORABLE = 1;

export const status: CommandSpec = {
  name: "status",
  group: "Platform",
  summary: "Show the platform, and to which moments each of your databases can be restored",
  details:
    "Ends with 1 when a database is not backed up as its plan promises (no moment of it can be restored, its write-ahead log has a hole up to now, continuous backups are stale, the last backup failed, or one is overdue), and when the platform has stopped to check.",
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
      describeWindow(database, zone),
      describeGood(database.last_good_backup, zone),
      database.next_backup_at === null ? "off" : formatDate(database.next_backup_at, zone),
    ]);
    const header = ["App", "Database", "Status", "Restorable", "Last Good Backup", "Next Backup"];
    call.output.result(renderTable(header, rows));
    for (const database of databases)
      for (const { text } of database.problems) call.output.warning(`${database.resource_id}: ${text}`);
    const isStalled = platform.health_check?.stalled === true;
    if (isStalled)
      call.output.warning("The platform has stopped to check its databases: this may be worse than it looks");
    call.output.json(body);
    if (isStalled || databases.some((database) => !database.is_restorable)) call.endWith(EXIT_CODE_NOT_RESTORABLE);
  },
};

/** The one honest number: from when to how long ago. */
function describeWindow({ restorable }: DatabaseHealth, zone: TimeZone): string {
  if (restorable === null) return "not yet";
  const { from, to, lag_seconds: lagSeconds } = restorable;
  const end = lagSeconds === null ? formatDate(to, zone) : `${durationText(lagSeconds * 1000)} ago`;
  return `from ${formatDate(from, zone)} to ${end}`;
}

function describeGood(backup: Backup | null, zone: TimeZone): string {
  return backup === null ? "none" : `${formatDate(backup.created_at, zone)}, ${formatSizeSi(backup.size ?? 0)}`;
}
