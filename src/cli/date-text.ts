import type { TimeZone } from "./time-zone.ts";

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** As timelines have it, in the given zone: `Thu Dec 07 2023 01:00:10 CET`. */
export function formatDay(instant: Date, zone: TimeZone): string {
  const { weekday, day, month, year, time, abbreviation } = partsOf(instant, zone);
  return `${weekday} ${month} ${day} ${year} ${time} ${abbreviation}`;
}

/** RFC 1123 in the given zone: `Thu, 07 Dec 2023 01:00:10 CET`. */
export function formatDate(instant: Date, zone: TimeZone): string {
  const { weekday, day, month, year, time, abbreviation } = partsOf(instant, zone);
  return `${weekday}, ${day} ${month} ${year} ${time} ${abbreviation}`;
}

function partsOf(instant: Date, zone: TimeZone) {
  const { offsetSeconds, abbreviation } = zone.at(instant);
  const local = new Date(instant.getTime() + offsetSeconds * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  return {
    weekday: WEEKDAYS[local.getUTCDay()],
    day: two(local.getUTCDate()),
    month: MONTHS[local.getUTCMonth()],
    year: String(local.getUTCFullYear()).padStart(4, "0"),
    time: [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(":"),
    abbreviation,
  };
}
