import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { type DatabaseTarget, openDatabaseTarget } from "../database-target.ts";
import { formatDate } from "../date-text.ts";
import { databaseReply, type PeriodicBackups, periodicBackupsReply } from "../replies.ts";
import { formatHour, readScheduleHour } from "../schedule-hour.ts";
import { findTimeZone, type TimeZone } from "../time-zone.ts";
import { type Reply, route } from "../transport.ts";

/** Enough to see the rhythm, and where a change of clocks shows. */
const SHOWN_RUNS_MAX = 3;
const HOUR_MS = 3600_000;

export const backupsConfig: CommandSpec = {
  name: "backups-config",
  group: "Backups",
  summary: "Set when a database is backed up daily, or show it",
  details:
    "The hour is kept in UTC and is when a backup may begin, at a minute of the database's own. Without a zone it is the machine's. " +
    "Without options: shows the schedule and the next runs.",
  options: [
    { flags: "--schedule-at <hour>", summary: 'Hour, with a zone or without: 3, "4:00 UTC", "3 Europe/Paris"' },
    { flags: "--unschedule", summary: "No more daily backups" },
    { flags: "--yes", summary: "Don't ask" },
  ],
  examples: [
    "--app my-app --addon postgresql backups-config",
    "--app my-app --addon postgresql backups-config --schedule-at 3",
    '--app my-app --addon postgresql backups-config --schedule-at "4:00 UTC"',
    "--app my-app --addon postgresql backups-config --unschedule --yes",
  ],
  async run(call) {
    const zone = await call.timeZone();
    const change = await readChange(call, zone);
    const target = await openDatabaseTarget(call);
    const changed = change === undefined ? undefined : await changeSchedule(target, change);
    const shown = await target.api.get(route`/api/databases/${target.addonId}/periodic_backups`, periodicBackupsReply);
    showSchedule(call, shown.value.periodic_backups, zone);
    call.output.json((changed ?? shown).body);
  },
};

type Change = Readonly<Record<"periodic_backups_scheduled_at" | "periodic_backups_enabled", number | boolean>>;

/** What to send, undefined for nothing. Asks where the change can lose something, before anything is sent. */
async function readChange(call: CommandCall, zone: TimeZone): Promise<Partial<Change> | undefined> {
  const typed = call.option("schedule-at");
  if (typed !== undefined && call.flag("unschedule")) {
    throw new TidemarkError("usage", "--schedule-at and --unschedule contradict each other", {
      hint: "Give one of them.",
    });
  }
  if (typed !== undefined) {
    const hour = await readScheduleHour(typed, { local: zone, find: (name) => findTimeZone(name) }, call.clock.now());
    return { periodic_backups_scheduled_at: hour, periodic_backups_enabled: true };
  }
  if (!call.flag("unschedule")) return undefined;
  if (!call.flag("yes")) await confirmEnd(call);
  return { periodic_backups_enabled: false };
}

async function confirmEnd(call: CommandCall): Promise<void> {
  const question = "  /!\\  The database will not be backed up daily any more. Are you sure? (y/N) ";
  const typed = (await call.prompt.confirm(question, { insteadOf: "--yes" })).trim().toLowerCase();
  if (typed !== "y" && typed !== "yes") throw new TidemarkError("cancelled", "periodic backups are still enabled");
}

async function changeSchedule({ api, addonId }: DatabaseTarget, change: Partial<Change>): Promise<Reply<unknown>> {
  return await api.patch(route`/api/databases/${addonId}`, { database: change }, databaseReply);
}

function showSchedule(call: CommandCall, periodic: PeriodicBackups, zone: TimeZone): void {
  const { output, clock } = call;
  if (!periodic.enabled) return output.status("Periodic backups are disabled");
  const hours = periodic.scheduled_at.map((hourUtc) => formatHour(nextHour(hourUtc, clock.now()), zone));
  output.status(`Periodic backups will be done daily at ${hours.join(", ")}`);
  for (const run of periodic.next_runs.slice(0, SHOWN_RUNS_MAX)) output.info(`Next: ${formatRun(run, zone)}`);
  if (periodic.waits_because !== null) output.warning(`The first of them is due: ${periodic.waits_because}`);
}

/** In UTC, and by the machine's clock where that shows something else. */
function formatRun(run: Date, zone: TimeZone): string {
  const utc = formatDate(run, { at: () => ({ offsetSeconds: 0, abbreviation: "UTC" }) });
  const local = formatDate(run, zone);
  return local === utc ? utc : `${utc} (${local})`;
}

/** When it is this hour in UTC next. */
function nextHour(hourUtc: number, now: Date): Date {
  const today = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), hourUtc));
  return today >= now ? today : new Date(today.getTime() + 24 * HOUR_MS);
}
