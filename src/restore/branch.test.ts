import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { newObjectId } from "../core/ids.ts";
import {
  type Lsn,
  type SegmentName,
  advanceLsn,
  formatLsn,
  parseLsn,
  segmentName,
  toTimelineId,
  toWalSegmentSize,
} from "../core/lsn.ts";
import { parseTimelineHistory } from "../postgres/timeline-history.ts";
import type { StoredSegment } from "../repository/wal-inventory.ts";
import { newestTimeline, nextStored, openBranch, reachableUntil, walkBranch } from "./branch.ts";
import type { LineageFacts } from "./facts.ts";

const MIB = 1024 * 1024;
const segmentSize = toWalSegmentSize(MIB);
const lineage = newObjectId(new Date());

interface Stored {
  readonly timeline: number;
  /** Number of the segment. */
  readonly segment: number;
  readonly bytes: number;
}

function makeFacts(stored: readonly Stored[], histories: Readonly<Record<number, string>> = {}): LineageFacts {
  const segments = new Map<SegmentName, StoredSegment>();
  for (const { timeline: id, segment, bytes } of stored) {
    const timeline = toTimelineId(id);
    const start = at(segment, 0);
    const name = segmentName(timeline, start, segmentSize);
    const piece = { lineage, timeline, segment: name, from: 0, to: bytes, mac: "" };
    segments.set(name, { start, pieces: [piece], contiguousBytes: bytes });
  }
  return {
    lineage,
    segmentSize,
    inventory: { lineage, segmentSize, segments, histories: [], gaps: [], end: undefined },
    histories: new Map(
      Object.entries(histories).map(([timeline, content]) => [
        toTimelineId(Number(timeline)),
        { content, switches: parseTimelineHistory(content) },
      ]),
    ),
    indexes: new Map(),
  };
}

function at(segment: number, offset: number): Lsn {
  return advanceLsn(parseLsn("0/0"), segment * MIB + offset);
}

/** Timeline 1 was left in the middle of its segment 4 for timeline 2, which goes on to segment 5. */
const SWITCHED = makeFacts(
  [
    { timeline: 1, segment: 3, bytes: MIB },
    { timeline: 1, segment: 4, bytes: MIB },
    { timeline: 1, segment: 5, bytes: 700 },
    { timeline: 2, segment: 4, bytes: MIB },
    { timeline: 2, segment: 5, bytes: 300 },
  ],
  { 2: `1\t${formatLsn(at(4, 5000))}\tno recovery target specified\n` },
);

suite("walkBranch()", () => {
  test("takes the newer timeline's segment where a timeline was left in mid-segment", () => {
    const names = [...walkBranch(openBranch(SWITCHED, toTimelineId(2)), at(3, 40))].map(({ name }) => name);
    assert.deepEqual(names, ["000000010000000000000003", "000000020000000000000004", "000000020000000000000005"]);
    const old = [...walkBranch(openBranch(SWITCHED, toTimelineId(1)), at(3, 40))].map(({ name }) => name);
    assert.deepEqual(old, ["000000010000000000000003", "000000010000000000000004", "000000010000000000000005"]);
  });

  test("goes no further than the switch on the old timeline when the new one's segment isn't stored", () => {
    const facts = makeFacts(
      [
        { timeline: 1, segment: 3, bytes: MIB },
        { timeline: 1, segment: 4, bytes: MIB },
        { timeline: 1, segment: 5, bytes: MIB },
      ],
      { 2: `1\t${formatLsn(at(4, 5000))}\tno recovery target specified\n` },
    );
    assert.equal(reachableUntil(openBranch(facts, toTimelineId(2)), at(3, 40)), at(4, 5000));
  });

  test("yields segments one after the other, as far as reachableUntil() says, and nextStored() is after that", () => {
    const stored = fc.uniqueArray(
      fc.record({
        timeline: fc.integer({ min: 1, max: 3 }),
        segment: fc.integer({ min: 0, max: 8 }),
        bytes: fc.constantFrom(100, 4096, MIB),
      }),
      { selector: ({ timeline, segment }) => `${timeline}/${segment}` },
    );
    const switches = fc.tuple(fc.integer({ min: 0, max: 8 * MIB }), fc.integer({ min: 0, max: 8 * MIB }));
    fc.assert(
      fc.property(stored, switches, fc.integer({ min: 0, max: 9 * MIB }), (list, [first, second], start) => {
        const [low, high] = [Math.min(first, second), Math.max(first, second)].map((offset) => at(0, offset));
        const histories = {
          2: `1\t${formatLsn(low ?? at(0, 0))}\n`,
          3: `1\t${formatLsn(low ?? at(0, 0))}\n2\t${formatLsn(high ?? at(0, 0))}\n`,
        };
        const branch = openBranch(makeFacts(list, histories), toTimelineId(3));
        const from = at(0, start);
        const walked = [...walkBranch(branch, from)];
        for (const [index, segment] of walked.entries()) {
          const next = walked[index + 1];
          if (next === undefined) continue;
          assert.equal(segment.usableBytes, MIB);
          assert.equal(next.start, advanceLsn(segment.start, MIB));
        }
        const reached = reachableUntil(branch, from);
        const end = walked.at(-1);
        assert.ok(reached >= from);
        if (end !== undefined) assert.ok(reached === from || reached === advanceLsn(end.start, end.usableBytes));
        const next = nextStored(branch, reached);
        assert.ok(next === undefined || next > reached);
      }),
    );
  });
});

test("newestTimeline() is the highest that anything is stored of", () => {
  assert.equal(newestTimeline(SWITCHED, []), 2);
  assert.equal(newestTimeline(makeFacts([], { 7: "1\t0/100\n" }), []), 7);
  assert.equal(newestTimeline(makeFacts([]), []), undefined);
});
