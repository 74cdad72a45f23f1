/** What a clock shows at an instant: seconds east of UTC, and the zone's abbreviation there (`CET`, `+04`). */
export interface LocalTimeType {
  readonly offsetSeconds: number;
  readonly abbreviation: string;
}

/** A rule of the POSIX variable TZ, such as `CET-1CEST,M3.5.0,M10.5.0/3`; tzdata files end with one for all later years. */
export interface PosixZone {
  readonly standard: LocalTimeType;
  readonly daylight: { readonly type: LocalTimeType; readonly start: DayRule; readonly end: DayRule } | null;
}

/** `seconds` after midnight (may be negative or beyond the day) of a day of the year. */
interface DayRule {
  readonly seconds: number;
  readonly day:
    | { readonly kind: "julian"; readonly day: number }
    | { readonly kind: "zeroBased"; readonly day: number }
    | { readonly kind: "monthWeekDay"; readonly month: number; readonly week: number; readonly weekday: number };
}

const NAME = "([A-Za-z]{3,}|<[A-Za-z0-9+-]{1,30}>)";
const OFFSET = "([+-]?\\d{1,3}(?::\\d{1,2}){0,2})";
const ZONE = new RegExp(`^${NAME}${OFFSET}(?:${NAME}${OFFSET}?(?:,([^,]+),([^,]+))?)?$`);
const RULE = /^(?:J(\d{1,3})|(\d{1,3})|M(\d{1,2})\.([1-5])\.([0-6]))(?:\/([+-]?\d{1,3}(?::\d{1,2}){0,2}))?$/;
/** Change at two o'clock unless the rule says otherwise. */
const DEFAULT_TIME = "2:00:00";
/** The rule that the standard leaves to implementations: that of the United States. */
const DEFAULT_RULES = ["M3.2.0", "M11.1.0"] as const;

/** Undefined for a text that is no such rule. Syntax: POSIX.1-2024, 8.3, with the hours beyond a day that RFC 9636 allows. */
export function parsePosixZone(text: string): PosixZone | undefined {
  const match = ZONE.exec(text);
  if (match === null) return undefined;
  const [, standardName = "", standardOffset = "", daylightName, daylightOffset, startText, endText] = match;
  // The sign is reversed in POSIX: hours to add to reach UTC. Subtracted from 0, so that 0 doesn't become -0.
  const standard = { offsetSeconds: 0 - parseTime(standardOffset), abbreviation: unquote(standardName) };
  if (daylightName === undefined) return { standard, daylight: null };
  const start = parseRule(startText ?? DEFAULT_RULES[0]);
  const end = parseRule(endText ?? DEFAULT_RULES[1]);
  if (start === undefined || end === undefined) return undefined;
  const offsetSeconds = daylightOffset === undefined ? standard.offsetSeconds + 3600 : 0 - parseTime(daylightOffset);
  return { standard, daylight: { type: { offsetSeconds, abbreviation: unquote(daylightName) }, start, end } };
}

export function posixLocalTime(zone: PosixZone, instantSeconds: number): LocalTimeType {
  const { standard, daylight } = zone;
  if (daylight === null) return standard;
  const year = new Date((instantSeconds + standard.offsetSeconds) * 1000).getUTCFullYear();
  const start = ruleSeconds(daylight.start, year) - standard.offsetSeconds;
  const end = ruleSeconds(daylight.end, year) - daylight.type.offsetSeconds;
  // South of the equator summer time spans the new year.
  const isDaylight =
    start < end ? instantSeconds >= start && instantSeconds < end : instantSeconds >= start || instantSeconds < end;
  return isDaylight ? daylight.type : standard;
}

function parseRule(text: string): DayRule | undefined {
  const match = RULE.exec(text);
  if (match === null) return undefined;
  const [, julian, zeroBased, month, week, weekday, time] = match;
  const seconds = parseTime(time ?? DEFAULT_TIME);
  if (julian !== undefined) return { seconds, day: { kind: "julian", day: Number(julian) } };
  if (zeroBased !== undefined) return { seconds, day: { kind: "zeroBased", day: Number(zeroBased) } };
  return {
    seconds,
    day: { kind: "monthWeekDay", month: Number(month), week: Number(week), weekday: Number(weekday) },
  };
}

/** Seconds since 1970 of the rule's moment, read as if the local clock showed UTC. */
function ruleSeconds({ day, seconds }: DayRule, year: number): number {
  const midnight = (month: number, dayOfMonth: number): number => Date.UTC(year, month, dayOfMonth) / 1000;
  if (day.kind === "zeroBased") return midnight(0, 1 + day.day) + seconds;
  if (day.kind === "julian") {
    // February 29 is never counted.
    const leap = new Date(Date.UTC(year, 1, 29)).getUTCMonth() === 1;
    return midnight(0, day.day + (leap && day.day >= 60 ? 1 : 0)) + seconds;
  }
  const firstWeekday = new Date(Date.UTC(year, day.month - 1, 1)).getUTCDay();
  const firstDay = 1 + ((day.weekday - firstWeekday + 7) % 7);
  const daysInMonth = new Date(Date.UTC(year, day.month, 0)).getUTCDate();
  const wanted = firstDay + (day.week - 1) * 7;
  // Week 5 means the last one, even in a month with four.
  return midnight(day.month - 1, wanted > daysInMonth ? wanted - 7 : wanted) + seconds;
}

function parseTime(text: string): number {
  const negative = text.startsWith("-");
  const [hours = 0, minutes = 0, seconds = 0] = text.replace(/^[+-]/, "").split(":").map(Number);
  const total = hours * 3600 + minutes * 60 + seconds;
  return negative ? -total : total;
}

function unquote(name: string): string {
  return name.replace(/^<|>$/g, "");
}
