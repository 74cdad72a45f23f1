import { TidemarkError } from "../core/errors.ts";
import type { TimeZone } from "./time-zone.ts";

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
/** `3`, `03`, `3h`, `3:00`, `3h00`, and a zone behind a space. */
const SCHEDULE = /^(\d{1,3})(?:h|:(\d\d)|h(\d\d))?(?:\s+(\S+))?$/i;

export interface ZoneLookup {
  /** The zone that counts where none is named. */
  readonly local: TimeZone;
  /** The zone of this name, undefined for one that is unknown. */
  find(name: string): Promise<TimeZone | undefined>;
}

/**
 * The hour in UTC that `--schedule-at` means: a local hour by the zone's offset when its clock shows that hour next.
 *
 * Throws `usage` for what is no full hour of a day, there or in UTC, and names the two hours nearest to it.
 */
export async function readScheduleHour(typed: string, zones: ZoneLookup, now: Date): Promise<number> {
  const match = SCHEDULE.exec(typed.trim());
  if (match === null) {
    throw new TidemarkError("usage", `"${typed}" is no hour of the day`, {
      hint: 'Give an hour, with a zone or without: --schedule-at 3, "4:00 UTC" or "3 Europe/Paris".',
    });
  }
  const [, hourText, colonMinutes, letterMinutes, zoneName] = match;
  const hour = Number(hourText);
  const minutes = Number(colonMinutes ?? letterMinutes ?? 0);
  if (hour > 23) throw notTaken(`"${typed}" is no hour of the day`, ["23", "0"], zoneName);
  if (minutes !== 0) {
    throw notTaken(`Backups begin at full hours, and "${typed}" is none`, [`${hour}`, `${(hour + 1) % 24}`], zoneName);
  }
  const zone = zoneName === undefined ? zones.local : await zones.find(zoneName);
  if (zone === undefined) {
    throw new TidemarkError("usage", `There is no time zone "${zoneName ?? ""}"`, {
      hint: 'Give its name in the time zone database, such as "3 Europe/Paris", or UTC.',
    });
  }
  const next = nextLocalHour(hour, zone, now);
  if (next.getTime() % HOUR_MS !== 0) throw betweenHours({ typed, zoneName, zone, at: next });
  return next.getUTCHours();
}

/** When a clock of the zone shows the full hour next; the first time, where it does so twice. */
export function nextLocalHour(hour: number, zone: TimeZone, now: Date): Date {
  const local = new Date(now.getTime() + zone.at(now).offsetSeconds * 1000);
  const midnightMs = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate());
  // From yesterday, since the offset may change on the way; to the day after tomorrow, since tomorrow's hour may be skipped.
  for (let day = -1; day <= 2; day++) {
    const wallMs = midnightMs + day * DAY_MS + hour * HOUR_MS;
    const found = instantsOf(wallMs, zone).find((instant) => instant >= now);
    if (found !== undefined) return found;
  }
  return new Date(midnightMs + DAY_MS + hour * HOUR_MS - zone.at(now).offsetSeconds * 1000);
}

/** The instants at which a clock of the zone shows this wall time: one, two when it is set back, none when it is set forward. */
function instantsOf(wallMs: number, zone: TimeZone): Date[] {
  // Clocks change by far less than a day: these two offsets are those before and after a change, if there is one.
  const around = [wallMs - DAY_MS, wallMs + DAY_MS].map((ms) => zone.at(new Date(ms)).offsetSeconds);
  return [...new Set(around)]
    .map((offsetSeconds) => ({ offsetSeconds, instant: new Date(wallMs - offsetSeconds * 1000) }))
    .filter(({ offsetSeconds, instant }) => zone.at(instant).offsetSeconds === offsetSeconds)
    .map(({ instant }) => instant)
    .toSorted((a, b) => a.getTime() - b.getTime());
}

function notTaken(message: string, hours: readonly string[], zoneName: string | undefined): TidemarkError {
  const choices = hours.map((hour) => (zoneName === undefined ? hour : `"${hour} ${zoneName}"`));
  return new TidemarkError("usage", message, { hint: `The nearest are --schedule-at ${choices.join(" and ")}.` });
}

function betweenHours({
  typed,
  zoneName,
  zone,
  at,
}: {
  typed: string;
  zoneName: string | undefined;
  zone: TimeZone;
  at: Date;
}): TidemarkError {
  const before = new Date(Math.floor(at.getTime() / HOUR_MS) * HOUR_MS);
  const choices = [before, new Date(before.getTime() + HOUR_MS)].map(
    (instant) => `--schedule-at "${instant.getUTCHours()} UTC" (${formatHour(instant, zone)})`,
  );
  const where = zoneName ?? "of this machine's zone";
  return new TidemarkError("usage", `Backups begin at full hours of UTC, and "${typed}" (${where}) is none`, {
    hint: `The nearest are ${choices.join(" and ")}.`,
  });
}

/** `6:00 CET` */
export function formatHour(instant: Date, zone: TimeZone): string {
  const { offsetSeconds, abbreviation } = zone.at(instant);
  const local = new Date(instant.getTime() + offsetSeconds * 1000);
  return `${local.getUTCHours()}:${String(local.getUTCMinutes()).padStart(2, "0")} ${abbreviation}`;
}
