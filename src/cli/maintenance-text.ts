import type { TimeZone } from "./time-zone.ts";

/** A weekly stretch of time, UTC; weekday 0 is Sunday. */
export interface MaintenanceWindow {
  readonly weekday_utc: number;
  readonly starting_hour_utc: number;
  readonly duration_in_hour: number;
}

const WEEKDAYS = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays"];

/** When the window begins next. */
export function nextMaintenance(window: MaintenanceWindow, now: Date): Date {
  const next = new Date(now);
  next.setUTCHours(window.starting_hour_utc, 0, 0, 0);
  next.setUTCDate(next.getUTCDate() + ((window.weekday_utc - next.getUTCDay() + 7) % 7));
  if (next < now) next.setUTCDate(next.getUTCDate() + 7);
  return next;
}

/** A weekly window, kept in UTC, as the zone's clocks show its next occurrence: `Tuesdays at 22:00 (08 hours)`. */
export function formatMaintenanceWindow(
  window: MaintenanceWindow,
  { now, zone }: { now: Date; zone: TimeZone },
): string {
  const next = nextMaintenance(window, now);
  const local = new Date(next.getTime() + zone.at(next).offsetSeconds * 1000);
  const start = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}`;
  return `${WEEKDAYS[local.getUTCDay()]} at ${start} (${two(window.duration_in_hour)} hours)`;
}

/** As lists of maintenances have it: `2026/11/24 23:00:04`, by the zone's clock. */
export function formatMaintenanceTime(instant: Date, zone: TimeZone): string {
  const local = new Date(instant.getTime() + zone.at(instant).offsetSeconds * 1000);
  const day = [local.getUTCFullYear(), two(local.getUTCMonth() + 1), two(local.getUTCDate())].join("/");
  return `${day} ${[local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(":")}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
