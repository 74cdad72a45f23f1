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

test("parseTimestamp() refuses a time without its zone, and digits that PostgreSQL can't keep", () => {
  for (const text of ["2026-11-22T14:02:33", "yesterday", "2026-11-22T14:02:33.1234567Z", ""])
    assert.throws(() => parseTimestamp(text), { code: "bad_request" });
  assert.equal(parseTimestamp("2026-11-22T15:02:33+01:00"), parseTimestamp("2026-11-22T14:02:33Z"));
});
