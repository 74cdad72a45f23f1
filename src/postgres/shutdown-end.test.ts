import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLsn, parseLsn, toWalSegmentSize } from "../core/lsn.ts";
import { recordEnd } from "./shutdown-end.ts";

const SEGMENT = toWalSegmentSize(16 * 1024 * 1024);

test("recordEnd() rounds a record's length up to the next record's place", () => {
  assert.equal(formatLsn(recordEnd(parseLsn("0/3000028"), 114, SEGMENT)), "0/30000A0");
});

test("recordEnd() leaves out the header of each page that the record reaches into", () => {
  assert.equal(formatLsn(recordEnd(parseLsn("0/3001FF8"), 114, SEGMENT)), "0/3002088");
  assert.equal(formatLsn(recordEnd(parseLsn("0/3001FF8"), 8 + 8168 + 8, SEGMENT)), "0/3004020");
});

test("recordEnd() knows the longer header of a segment's first page", () => {
  assert.equal(formatLsn(recordEnd(parseLsn("0/3FFFFF8"), 16, SEGMENT)), "0/4000030");
});

test("recordEnd() is the page's end when the record fills it", () => {
  assert.equal(formatLsn(recordEnd(parseLsn("0/3001FF8"), 8, SEGMENT)), "0/3002000");
});
