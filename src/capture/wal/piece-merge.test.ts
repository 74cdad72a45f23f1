import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { newObjectId } from "../../core/ids.ts";
import { WAL_SEGMENT_SIZE_DEFAULT, parseLsn, segmentName, toTimelineId } from "../../core/lsn.ts";
import { PIECES_JOINED, type WeightedPiece, planNextPiece } from "./piece-merge.ts";

const place = {
  lineage: newObjectId(new Date()),
  timeline: toTimelineId(1),
  segment: segmentName(toTimelineId(1), parseLsn("0/1000000"), WAL_SEGMENT_SIZE_DEFAULT),
  mac: "",
};

/** Appends pieces of the given sizes as the uploader does. */
function append(sizes: readonly number[]): { pieces: WeightedPiece[]; most: number; storedBytes: number; end: number } {
  let pieces: WeightedPiece[] = [];
  let [end, most, storedBytes] = [0, 0, 0];
  for (const size of sizes) {
    const { from, weight } = planNextPiece(pieces, end);
    end += size;
    storedBytes += end - from;
    pieces = [...pieces.filter(({ piece }) => piece.from < from), { piece: { ...place, from, to: end }, weight }];
    most = Math.max(most, pieces.length);
  }
  return { pieces, most, storedBytes, end };
}

test("planNextPiece() keeps the pieces of a segment few, and stores no byte often", () => {
  const { most, storedBytes, end } = append(Array.from({ length: 50_000 }, () => 300));
  assert.ok(most <= 4 * PIECES_JOINED, `${most} pieces`);
  assert.ok(storedBytes <= 4 * end, `${storedBytes / end} times`);
});

test("planNextPiece() never leaves a hole nor an overlap, whatever the sizes", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 300 }), (sizes) => {
      const { pieces, end } = append(sizes);
      let at = 0;
      for (const { piece } of pieces) {
        assert.equal(piece.from, at);
        at = piece.to;
      }
      assert.equal(at, end);
    }),
  );
});

test("planNextPiece() joins nothing across a hole", () => {
  const pieces = Array.from({ length: PIECES_JOINED }, (_, index) => {
    const from = index * 10 + (index > 5 ? 1 : 0);
    return { piece: { ...place, from, to: index * 10 + 10 }, weight: 1 };
  });
  assert.deepEqual(planNextPiece(pieces, 60), { from: 60, weight: 1 });
  assert.deepEqual(planNextPiece(pieces, PIECES_JOINED * 10), { from: PIECES_JOINED * 10, weight: 1 });
});
