/** A calendar day in UTC, `2026-03-14`: ordered as texts are. */
export type UtcDay = string & { readonly brand: "UtcDay" };

const DAY_MS = 24 * 3600_000;

/** The day that holds the instant. */
export function utcDayOf(instant: Date): UtcDay {
  return instant.toISOString().slice(0, 10) as UtcDay; // brand
}

export function addDays(day: UtcDay, count: number): UtcDay {
  return dayOfNumber(dayNumber(day) + count);
}

/** Midnight at which it begins. */
export function startOfDay(day: UtcDay): Date {
  return new Date(dayNumber(day) * DAY_MS);
}

/** Days since 1970-01-01, for arithmetic. */
export function dayNumber(day: UtcDay): number {
  return Date.parse(day) / DAY_MS;
}

export function dayOfNumber(number: number): UtcDay {
  return utcDayOf(new Date(number * DAY_MS));
}

/** The Sunday on or before the day of this number. 1970-01-01 was a Thursday. */
export function sundayBefore(number: number): number {
  return number - ((((number + 4) % 7) + 7) % 7);
}
