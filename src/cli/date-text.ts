import type { TimeZone } from "./time-zone.ts";

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** RFC 1123 in the given zone: `Thu, 07 Dec 2023 01:00:10 CET`. */
export function formatDate(instant: Date, zone: TimeZone): string {
  const { offsetSeconds, abbreviation } = zone.at(instant);
  const local = new Date(instant.getTime() + offsetSeconds * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${WEEKDAYS[local.getUTCDay()]}, ${two(local.getUTCDate())} ${MONTHS[local.getUTCMonth()]}`;
  const time = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(":");
  return `${day} ${String(local.getUTCFullYear()).padStart(4, "0")} ${time} ${abbreviation}`;
}
