import type { TimeZone } from "./time-zone.ts";

const WEEKDAYS = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays"];

/**
 * A weekly window, kept in UTC, as the zone's clocks show its next occurrence: `Tuesdays at 22:00 (08 hours)`.
 * Weekday 0 is Sunday.
 */
export function formatMaintenanceWindow(
  window: { weekday_utc: number; starting_hour_utc: number; duration_in_hour: number },
  { now, zone }: { now: Date; zone: TimeZone },
): string {
  const next = new Date(now);
  next.setUTCHours(window.starting_hour_utc, 0, 0, 0);
  next.setUTCDate(next.getUTCDate() + ((window.weekday_utc - next.getUTCDay() + 7) % 7));
  if (next < now) next.setUTCDate(next.getUTCDate() + 7);
  const local = new Date(next.getTime() + zone.at(next).offsetSeconds * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const start = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}`;
  return `${WEEKDAYS[local.getUTCDay()]} at ${start} (${two(window.duration_in_hour)} hours)`;
}
