import { TidemarkError } from "./errors.ts";

/** An instant as PostgreSQL keeps it: whole microseconds, here since 1970-01-01 UTC. Compare with `<`, `>`, `===`. */
export type TimestampUs = bigint & { readonly brand: "TimestampUs" };

/** 2000-01-01 UTC, from which PostgreSQL counts, in microseconds since 1970. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n;
const US_PER_MS = 1000n;

/** @param sincePostgresEpochUs a TimestampTz of the wire or of a WAL record */
export function fromPostgresTimestamp(sincePostgresEpochUs: bigint): TimestampUs {
  return (sincePostgresEpochUs + POSTGRES_EPOCH_US) as TimestampUs; // brand
}

/** A TimestampTz, as the wire wants it. */
export function toPostgresTimestamp(timestamp: TimestampUs): bigint {
  return timestamp - POSTGRES_EPOCH_US;
}

/** Exact: a Date has milliseconds. */
export function timestampFromDate(date: Date): TimestampUs {
  return (BigInt(date.getTime()) * US_PER_MS) as TimestampUs; // brand
}

/** Rounded down: what is shown as recoverable must be. */
export function dateFromTimestamp(timestamp: TimestampUs): Date {
  const ms = timestamp / US_PER_MS;
  const isBeforeEpochWithRest = timestamp < 0n && timestamp % US_PER_MS !== 0n;
  return new Date(Number(isBeforeEpochWithRest ? ms - 1n : ms));
}

/** ISO 8601 in UTC with six digits: `2026-11-22T14:02:33.123456Z`. */
export function formatTimestamp(timestamp: TimestampUs): string {
  const date = dateFromTimestamp(timestamp);
  const rest = timestamp - BigInt(date.getTime()) * US_PER_MS;
  return `${date.toISOString().slice(0, -1)}${rest.toString().padStart(3, "0")}Z`;
}

/** A local time, and the name of the zone whose clocks show it. */
const LOCAL_TIME_IN_ZONE = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ([A-Za-z][A-Za-z0-9_+/-]*)$/;

/**
 * Reads an instant with its zone: `2026-11-22T14:02:33.123456Z`, with an offset (`+01:00`), or with the name of a zone (`2026-11-22 15:02:33
 * Europe/Paris`); fewer digits do.
 *
 * @throws `bad_request` for any other text, for more digits than PostgreSQL keeps, and for a local time that the zone's clocks show twice or never, with
 *   the two instants that may be meant
 */
export function parseTimestamp(text: string): TimestampUs {
  try {
    const [, local, zone] = LOCAL_TIME_IN_ZONE.exec(text) ?? [];
    const instant =
      local === undefined || zone === undefined ? Temporal.Instant.from(text) : instantInZone(text, { local, zone });
    const nanoseconds = instant.epochNanoseconds;
    if (nanoseconds % 1000n !== 0n) throw new RangeError("more than six digits of a second");
    return (nanoseconds / 1000n) as TimestampUs; // brand
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    throw new TidemarkError("bad_request", `Cannot read the time "${text}"`, {
      hint: 'Write it with its zone, for example "2026-11-22T14:02:33.123456Z" or "2026-11-22 15:02:33 Europe/Paris"',
      cause: error,
    });
  }
}

/** When clocks are put back an hour comes twice, and when they are put forward one never comes: guessing would restore another moment. */
function instantInZone(
  text: string,
  { local, zone }: { readonly local: string; readonly zone: string },
): Temporal.Instant {
  const time = Temporal.PlainDateTime.from(local);
  const earlier = time.toZonedDateTime(zone, { disambiguation: "earlier" });
  const later = time.toZonedDateTime(zone, { disambiguation: "later" });
  if (earlier.equals(later)) return earlier.toInstant();
  const isTwice = earlier.toPlainDateTime().equals(time);
  throw new TidemarkError(
    "bad_request",
    `Cannot tell which moment "${text}" is: clocks there show it ${isTwice ? "twice" : "never"} that day`,
    { hint: `Write "${earlier.toInstant().toString()}" or "${later.toInstant().toString()}"` },
  );
}
