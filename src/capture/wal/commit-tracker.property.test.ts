import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { toLsn } from "../../core/lsn.ts";
import type { TimestampUs } from "../../core/timestamp.ts";
import { CommitTracker, type Moment } from "./commit-tracker.ts";

const moments = fc.record({
  lsn: fc.bigInt({ min: 1n, max: 1000n }).map(toLsn),
  time: fc.bigInt({ min: 1n, max: 1000n }).map((time) => time as TimestampUs), // brand
});

function newestOf(list: readonly Moment[], durable: bigint): bigint | undefined {
  const times = list.filter(({ lsn }) => lsn <= durable).map(({ time }) => time);
  return times.length === 0 ? undefined : times.reduce((first, second) => (first > second ? first : second));
}

test("CommitTracker tells the latest stamp of what is durable, whatever the order of stamps", () => {
  fc.assert(
    fc.property(fc.array(moments), fc.bigInt({ min: 0n, max: 1000n }).map(toLsn), (list, durable) => {
      const tracker = new CommitTracker();
      for (const moment of list) tracker.add(moment);
      tracker.advance(durable);
      assert.equal(tracker.newest?.time, newestOf(list, durable));
    }),
  );
});

test("CommitTracker never tells a moment before its WAL is durable, however many wait", () => {
  const tracker = new CommitTracker();
  const list: Moment[] = [];
  for (let at = 1; at <= 20_000; at++) {
    const moment = { lsn: toLsn(BigInt(at)), time: BigInt(at * 10) as TimestampUs }; // brand
    list.push(moment);
    tracker.add(moment);
  }
  for (const durable of [1n, 77n, 9_999n, 20_000n]) {
    tracker.advance(toLsn(durable));
    const truth = newestOf(list, durable) ?? 0n;
    assert.ok((tracker.newest?.time ?? 0n) <= truth);
  }
  assert.equal(tracker.newest?.time, 200_000n);
});
