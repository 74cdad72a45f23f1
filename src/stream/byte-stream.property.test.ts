import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { inBlocks, readAll, sliceBytes } from "./byte-stream.ts";
import { createSha256Meter, sha256Hex } from "./sha256.ts";
import { split } from "./split.fixture.ts";
import { compressZstd, decompressZstd } from "./zstd.ts";

const bytes = fc.uint8Array({ maxLength: 2000 });
const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 10 });

test("inBlocks() cuts into full blocks and a rest", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, cuts, fc.integer({ min: 1, max: 700 }), async (all, places, size) => {
      const blocks: Buffer[] = [];
      for await (const block of inBlocks(split(all, places), size)) blocks.push(block);
      assert.ok(Buffer.concat(blocks).equals(all));
      for (const block of blocks.slice(0, -1)) assert.equal(block.length, size);
      assert.ok(blocks.every((block) => block.length > 0));
    }),
  );
});

test("sliceBytes() gives the range of any split", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, cuts, fc.nat(2100), fc.nat(2100), async (all, places, offsetBytes, lengthBytes) => {
      const got = await readAll(sliceBytes(split(all, places), { offsetBytes, lengthBytes }), 1e6);
      assert.ok(got.equals(all.subarray(offsetBytes, offsetBytes + lengthBytes)));
    }),
  );
});

test("createSha256Meter() counts and hashes what passes", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, cuts, async (all, places) => {
      const meter = createSha256Meter();
      await readAll(meter.through(split(all, places)), 1e6);
      assert.equal(meter.sizeBytes, all.length);
      assert.equal(meter.digest(), createHash("sha256").update(all).digest("hex"));
      assert.equal(meter.digest(), sha256Hex(all));
    }),
  );
});

test("readAll() refuses more than its limit", async () => {
  await assert.rejects(readAll(split(Buffer.alloc(11), [5]), 10), RangeError);
});

test("compressZstd() and decompressZstd() give back the bytes, and not more than the limit", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 9 }), async (all, level) => {
      assert.ok((await decompressZstd(await compressZstd(all, level), 2000)).equals(all));
    }),
    { numRuns: 30 },
  );
  await assert.rejects(decompressZstd(await compressZstd(Buffer.alloc(5000), 3), 4999));
});
