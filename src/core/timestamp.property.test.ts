import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  type TimestampUs,
  dateFromTimestamp,
  formatTimestamp,
  fromPostgresTimestamp,
  parseTimestamp,
  timestampFromDate,
  toPostgresTimestamp,
} from "./timestamp.ts";

const timestamps = fc
  .bigInt({ min: -(10n ** 15n), max: 4n * 10n ** 15n })
  .map((sinceEpoch) => fromPostgresTimestamp(sinceEpoch));

test("parseTimestamp() reads what formatTimestamp() writes, to the microsecond", () => {
  fc.assert(fc.property(timestamps, (timestamp) => parseTimestamp(formatTimestamp(timestamp)) === timestamp));
});

test("toPostgresTimestamp() undoes fromPostgresTimestamp()", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }), (value) => {
      return toPostgresTimestamp(fromPostgresTimestamp(value)) === value;
    }),
  );
});

test("dateFromTimestamp() never rounds up", () => {
  fc.assert(
    fc.property(timestamps, (timestamp) => {
      const rounded = timestampFromDate(dateFromTimestamp(timestamp));
      return rounded <= timestamp && timestamp - rounded < 1000n;
    }),
  );
});

test("formatTimestamp() writes six digits", () => {
  assert.equal(formatTimestamp(1_795_356_153_000_007n as TimestampUs), "2026-11-22T14:02:33.000007Z");
  assert.equal(formatTimestamp(fromPostgresTimestamp(0n)), "2000-01-01T00:00:00.000000Z");
});

test("parseTimestamp() reads local times of named zones, in winter and in summer", () => {
  for (const [text, utc] of [
    ["2026-11-22 15:02:33.123456 Europe/Paris", "2026-11-22T14:02:33.123456Z"],
    ["2026-07-22T15:02:33 Europe/Paris", "2026-07-22T13:02:33Z"],
    ["2026-11-22 09:02 America/New_York", "2026-11-22T14:02:00Z"],
    ["2026-11-22 14:02:33 UTC", "2026-11-22T14:02:33Z"],
    ["2026-11-22 19:47:33+05:45", "2026-11-22T14:02:33Z"],
  ] as const)
    assert.equal(formatTimestamp(parseTimestamp(text)), formatTimestamp(parseTimestamp(utc)), text);
});

test("parseTimestamp() refuses a local time that comes twice or never, and names the two that may be meant", () => {
  for (const [text, how, hint] of [
    ["2026-10-25 02:30 Europe/Paris", /twice/, 'Write "2026-10-25T00:30:00Z" or "2026-10-25T01:30:00Z"'],
    ["2026-03-29 02:30 Europe/Paris", /never/, 'Write "2026-03-29T00:30:00Z" or "2026-03-29T01:30:00Z"'],
  ] as const)
    assert.throws(() => parseTimestamp(text), { code: "bad_request", message: how, hint });
  assert.throws(() => parseTimestamp("2026-11-22 15:02 Europe/Nowhere"), { code: "bad_request" });
});

test("parseTimestamp() refuses a time without its zone, and digits that PostgreSQL can't keep", () => {
  for (const text of ["2026-11-22T14:02:33", "yesterday", "2026-11-22T14:02:33.1234567Z", ""])
    assert.throws(() => parseTimestamp(text), { code: "bad_request" });
  assert.equal(parseTimestamp("2026-11-22T15:02:33+01:00"), parseTimestamp("2026-11-22T14:02:33Z"));
});
