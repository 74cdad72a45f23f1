import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveRange } from "./byte-range.ts";

const WHOLE = { kind: "whole" };
const UNSATISFIABLE = { kind: "unsatisfiable" };
const part = (offset: number, lengthBytes: number): object => ({ kind: "part", offset, lengthBytes });

const cases: readonly [string | undefined, object][] = [
  [undefined, WHOLE],
  ["", WHOLE],
  ["lines=1-2", WHOLE],
  ["bytes=0-1,3-4", WHOLE],
  ["bytes=0-9", part(0, 10)],
  ["bytes=0-", part(0, 10)],
  ["bytes=9-9", part(9, 1)],
  ["Bytes = 2-3 ", part(2, 2)],
  ["bytes=3-999999999999999", part(3, 7)],
  ["bytes=-3", part(7, 3)],
  ["bytes=-30", part(0, 10)],
  ["bytes=-0", UNSATISFIABLE],
  ["bytes=-", UNSATISFIABLE],
  ["bytes=", UNSATISFIABLE],
  ["bytes=x-y", UNSATISFIABLE],
  ["bytes=4-3", UNSATISFIABLE],
  ["bytes=10-", UNSATISFIABLE],
  ["bytes=0-9999999999999999", UNSATISFIABLE],
];
for (const [header, answer] of cases)
  test(`resolveRange() of ${JSON.stringify(header)} in 10 bytes is ${JSON.stringify(answer)}`, () => {
    assert.deepEqual(resolveRange(header, 10), answer);
  });

test("resolveRange() finds no range in an empty file", () => {
  for (const header of ["bytes=0-", "bytes=0-0", "bytes=-1"]) assert.deepEqual(resolveRange(header, 0), UNSATISFIABLE);
});
