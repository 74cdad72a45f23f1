import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  advanceLsn,
  formatLsn,
  historyFileName,
  isSegmentName,
  lsnDistance,
  parseHistoryFileName,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentOffset,
  segmentStart,
  toLsn,
  toTimelineId,
  toWalSegmentSize,
} from "./lsn.ts";

const lsns = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(toLsn);
const timelines = fc.integer({ min: 1, max: 2 ** 32 - 1 }).map(toTimelineId);
const segmentSizes = fc.integer({ min: 20, max: 30 }).map((bits) => toWalSegmentSize(2 ** bits));

test("parseLsn() reads what formatLsn() writes", () => {
  fc.assert(fc.property(lsns, (lsn) => parseLsn(formatLsn(lsn)) === lsn));
});

test("formatLsn() writes PostgreSQL's form", () => {
  assert.equal(formatLsn(toLsn(0x16b374d848n)), "16/B374D848");
  assert.equal(formatLsn(toLsn(0n)), "0/0");
  assert.equal(parseLsn("0/016b3748"), 0x16b3748n);
});

test("parseLsn() refuses anything else", () => {
  for (const text of ["", "0", "/", "0/", "0/123456789", "x/1", "1/2/3", " 0/1", "-1/2"])
    assert.throws(() => parseLsn(text), { code: "bad_request" });
});

test("segmentName() and parseSegmentName() agree with segmentStart() for each segment size", () => {
  fc.assert(
    fc.property(timelines, lsns, segmentSizes, (timeline, lsn, size) => {
      const name = segmentName(timeline, lsn, size);
      assert.ok(isSegmentName(name));
      assert.deepEqual(parseSegmentName(name, size), { timeline, start: segmentStart(lsn, size) });
      assert.equal(segmentStart(lsn, size) + BigInt(segmentOffset(lsn, size)), lsn);
    }),
  );
});

test("segmentName() sorts as the log runs", () => {
  fc.assert(
    fc.property(timelines, lsns, lsns, segmentSizes, (timeline, first, second, size) => {
      const [low, high] = first <= second ? [first, second] : [second, first];
      return segmentName(timeline, low, size) <= segmentName(timeline, high, size);
    }),
  );
});

test("segmentName() gives pg_walfile_name's answer for known positions", () => {
  const size = toWalSegmentSize(16 * 1024 * 1024);
  assert.equal(segmentName(toTimelineId(1), parseLsn("16/B374D848"), size), "0000000100000016000000B3");
  assert.equal(segmentName(toTimelineId(0x1a), parseLsn("0/1000000"), size), "0000001A0000000000000001");
});

test("parseSegmentName() refuses names that the segment size can't make", () => {
  assert.throws(() => parseSegmentName("000000010000000000000100", toWalSegmentSize(16 * 1024 * 1024)), {
    code: "bad_request",
  });
  assert.throws(() => parseSegmentName("00000001000000000000000g", toWalSegmentSize(1024 * 1024)), {
    code: "bad_request",
  });
});

test("advanceLsn() and lsnDistance() are inverse", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 60n }).map(toLsn),
      fc.integer({ min: 0, max: 2 ** 40 }),
      (lsn, bytes) => {
        return lsnDistance(lsn, advanceLsn(lsn, bytes)) === bytes;
      },
    ),
  );
});

test("parseHistoryFileName() reads what historyFileName() writes, and nothing else", () => {
  fc.assert(fc.property(timelines, (timeline) => parseHistoryFileName(historyFileName(timeline)) === timeline));
  for (const name of ["00000002.history.tmp", "2.history", "000000020000000000000001", "0000000a.history"])
    assert.equal(parseHistoryFileName(name), undefined);
});

test("toWalSegmentSize() refuses what initdb refuses", () => {
  for (const size of [0, 1000, 512 * 1024, 3 * 1024 * 1024, 2 ** 31, -1, Number.NaN])
    assert.throws(() => toWalSegmentSize(size), { code: "bad_request" });
});
