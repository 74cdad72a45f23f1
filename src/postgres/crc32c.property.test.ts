import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { crc32c, crc32cRange, tableCrc32c } from "./crc32c.ts";

test("crc32c() gives the polynomial's known check value", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
});

test("crc32c() agrees with the table for any bytes in any two parts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), fc.nat(1000), (bytes, cut) => {
      const whole = tableCrc32c(bytes, 0);
      assert.equal(crc32c(bytes), whole);
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), whole);
      const [buffer, end] = [Buffer.from(bytes), Math.min(cut, bytes.length)];
      assert.equal(crc32cRange(buffer, end, bytes.length, crc32cRange(buffer, 0, end, 0)), whole);
    }),
  );
});
