import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { resolveRange } from "./byte-range.ts";

test("resolveRange() never reaches outside the file, whatever the header", () => {
  const number = fc.oneof(fc.constant(""), fc.nat().map(String), fc.bigInt({ min: 0n }).map(String));
  const header = fc.oneof(
    fc.tuple(number, number).map(([first, last]) => `bytes=${first}-${last}`),
    fc.string().map((text) => `bytes=${text}`),
  );
  fc.assert(
    fc.property(header, fc.nat(), (text, sizeBytes) => {
      const answer = resolveRange(text, sizeBytes);
      if (answer.kind !== "part") return;
      assert.ok(answer.lengthBytes > 0 && answer.offset >= 0 && answer.offset + answer.lengthBytes <= sizeBytes);
    }),
  );
});

test("resolveRange() cuts what slice() would cut", () => {
  const range = fc.tuple(fc.nat(50), fc.nat(50), fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(range, ([first, extra, sizeBytes]) => {
      const file = Array.from({ length: sizeBytes }, (_, index) => index);
      const wanted = file.slice(first, first + extra + 1);
      const answer = resolveRange(`bytes=${first}-${first + extra}`, sizeBytes);
      const got = answer.kind === "part" ? file.slice(answer.offset, answer.offset + answer.lengthBytes) : [];
      assert.deepEqual(got, wanted);
    }),
  );
});
