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

/**
 * Reads an instant with a zone: `2026-11-22T14:02:33.123456Z`, also with an offset or fewer digits.
 *
 * @throws `bad_request` for any other text, and for more digits than PostgreSQL keeps
 */
export function parseTimestamp(text: string): TimestampUs {
  try {
    const nanoseconds = Temporal.Instant.from(text).epochNanoseconds;
    if (nanoseconds % 1000n !== 0n) throw new RangeError("more than six digits of a second");
    return (nanoseconds / 1000n) as TimestampUs; // brand
  } catch (error) {
    throw new TidemarkError("bad_request", `Cannot read the time "${text}"`, {
      hint: 'Write it with its zone, for example "2026-11-22T14:02:33.123456Z"',
      cause: error,
    });
  }
}
