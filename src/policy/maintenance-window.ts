/** A weekly stretch of time for what interrupts a database. */
export interface WeeklyWindow {
  /** 0 is Sunday. */
  readonly weekdayUtc: number;
  /** 0 to 23. */
  readonly startingHourUtc: number;
  /** 1 to 24. */
  readonly durationHours: number;
}

const HOUR_MS = 3600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;

/** The window that is open at `now`, or else the next one. */
export function windowAround(
  window: WeeklyWindow,
  now: Date,
): { readonly startsAt: Date; readonly endsAt: Date; readonly isOpen: boolean } {
  const start = new Date(now);
  start.setUTCHours(window.startingHourUtc, 0, 0, 0);
  start.setUTCDate(start.getUTCDate() - ((start.getUTCDay() - window.weekdayUtc + 7) % 7));
  // Today's may lie ahead: then the last one was a week before.
  const lastMs = start > now ? start.getTime() - WEEK_MS : start.getTime();
  const lengthMs = window.durationHours * HOUR_MS;
  const isOpen = now.getTime() < lastMs + lengthMs;
  const startMs = isOpen ? lastMs : lastMs + WEEK_MS;
  return { startsAt: new Date(startMs), endsAt: new Date(startMs + lengthMs), isOpen };
}
