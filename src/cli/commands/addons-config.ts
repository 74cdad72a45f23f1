import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatMaintenanceWindow, type MaintenanceWindow, nextMaintenance } from "../maintenance-text.ts";
import { databaseReply } from "../replies.ts";
import { nextLocalHour } from "../schedule-hour.ts";
import type { TimeZone } from "../time-zone.ts";
import { route } from "../transport.ts";

const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const DAY_MS = 24 * 3600_000;
const HOUR_MS = 3600_000;
const DURATION_HOURS_MAX = 24;

export const addonsConfig: CommandSpec = {
  name: "addons-config",
  group: "Databases",
  summary: "Set when a database may be maintained, or show it",
  details: "Day and hour are of the machine's zone, and are kept in UTC. What is left out stays.",
  arguments: [{ name: "[addon]", summary: "postgresql, resource id or id; otherwise that of --addon" }],
  options: [
    { flags: "--maintenance-window-day <day>", summary: "monday, tuesday, ..." },
    { flags: "--maintenance-window-hour <hour>", summary: "0 to 23" },
    { flags: "--maintenance-window-duration <hours>", summary: "1 to 24" },
  ],
  examples: ["--app my-app addons-config postgresql --maintenance-window-day sunday --maintenance-window-hour 4"],
  async run(call) {
    const zone = await call.timeZone();
    const asked = readOptions(call);
    const { api, addonId } = await openDatabaseTarget(call, call.optionalArgument(0));
    const path = route`/api/databases/${addonId}`;
    const shown = await api.get(path, databaseReply);
    const window = shown.value.database.maintenance_window;
    if (window === null || Object.values(asked).every((each) => each === undefined)) {
      if (window !== null) showWindow(call, window, zone);
      return call.output.json(shown.body);
    }
    const change = windowOf(asked, { window, zone, now: call.clock.now() });
    const changed = await api.patch(path, { database: { maintenance_window: change } }, databaseReply);
    call.output.result("Addon config updated.");
    if (changed.value.database.maintenance_window !== null)
      showWindow(call, changed.value.database.maintenance_window, zone);
    call.output.json(changed.body);
  },
};

interface Asked {
  readonly day: number | undefined;
  readonly hour: number | undefined;
  readonly durationHours: number | undefined;
}

function readOptions(call: CommandCall): Asked {
  const day = call.option("maintenance-window-day");
  const dayNumber = day === undefined ? undefined : DAYS.indexOf(day.toLowerCase());
  if (dayNumber === -1) throw new TidemarkError("usage", `"${day}" is no day: give one of ${DAYS.join(", ")}`);
  return {
    day: dayNumber,
    hour: readNumber(call, "maintenance-window-hour", { from: 0, to: 23 }),
    durationHours: readNumber(call, "maintenance-window-duration", { from: 1, to: DURATION_HOURS_MAX }),
  };
}

function readNumber(call: CommandCall, name: string, { from, to }: { from: number; to: number }): number | undefined {
  const typed = call.option(name);
  if (typed === undefined) return undefined;
  const value = /^\d{1,2}$/.test(typed) ? Number(typed) : Number.NaN;
  if (value >= from && value <= to) return value;
  throw new TidemarkError("usage", `--${name} is "${typed}": give a whole number from ${from} to ${to}`);
}

/** The window in UTC that begins on this day at this hour by the zone's clock when it comes next; what isn't asked for is as it is now. */
function windowOf(
  asked: Asked,
  { window, zone, now }: { window: MaintenanceWindow; zone: TimeZone; now: Date },
): MaintenanceWindow {
  const before = localOf(nextMaintenance(window, now), zone);
  const [day, hour] = [asked.day ?? before.getUTCDay(), asked.hour ?? before.getUTCHours()];
  const start = nextOn(day, hour, { zone, now });
  if (start.getTime() % HOUR_MS !== 0) {
    throw new TidemarkError("usage", "A window begins at a full hour of UTC, and yours lies between two", {
      hint: "Give day and hour in UTC: TZ=UTC tidemark addons-config ...",
    });
  }
  return {
    weekday_utc: start.getUTCDay(),
    starting_hour_utc: start.getUTCHours(),
    duration_in_hour: asked.durationHours ?? window.duration_in_hour,
  };
}

function nextOn(day: number, hour: number, { zone, now }: { zone: TimeZone; now: Date }): Date {
  for (let after = 0; after < 8; after++) {
    const at = nextLocalHour(hour, zone, new Date(now.getTime() + after * DAY_MS));
    if (localOf(at, zone).getUTCDay() === day) return at;
  }
  throw new TidemarkError("bug", `No day ${day} in a week`);
}

/** What the zone's clock shows, as a date of UTC. */
function localOf(instant: Date, zone: TimeZone): Date {
  return new Date(instant.getTime() + zone.at(instant).offsetSeconds * 1000);
}

function showWindow(call: CommandCall, window: MaintenanceWindow, zone: TimeZone): void {
  call.output.info(`Maintenance window: ${formatMaintenanceWindow(window, { now: call.clock.now(), zone })}`);
}
