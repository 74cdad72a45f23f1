import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { split } from "./split.fixture.ts";
import { ZstdFrameSplitter } from "./zstd-frames.ts";

const SKIPPABLE = Buffer.from("502a4d1803000000aabbcc", "hex");

function frame(bytes: Uint8Array, { level, hasChecksum }: { level: number; hasChecksum: boolean }): Buffer {
  return zstdCompressSync(bytes, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: hasChecksum ? 1 : 0,
    },
  });
}

const contents = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  // Longer than a block of 128 KiB, of one byte (which is stored as a repeated one) and of many.
  fc.nat(400_000).map((length) => new Uint8Array(length).fill(7)),
  fc.nat(300_000).map((length) => Uint8Array.from({ length }, (_, at) => (at * at) >> 3)),
);
const frames = fc.array(
  fc.oneof(
    fc.tuple(contents, fc.integer({ min: 1, max: 5 }), fc.boolean()).map(([bytes, level, hasChecksum]) => {
      return frame(bytes, { level, hasChecksum });
    }),
    fc.constant(SKIPPABLE),
  ),
  { minLength: 1, maxLength: 5 },
);

test("ZstdFrameSplitter finds each frame of any stream, however it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(5000), { maxLength: 30 }), async (whole, cuts) => {
      const splitter = new ZstdFrameSplitter("a stream");
      const found: Buffer[] = [];
      for await (const piece of split(Buffer.concat(whole), cuts))
        for (const one of splitter.push(piece)) found.push(Buffer.from(one));
      splitter.finish();
      assert.deepEqual(
        found.map((one) => one.toString("hex")),
        whole.map((one) => one.toString("hex")),
      );
    }),
    { numRuns: 60 },
  );
});

test("ZstdFrameSplitter refuses what is no frame, and an end inside one", () => {
  const [plain, whole] = [
    Buffer.from("some content"),
    frame(Buffer.from("some content"), { level: 1, hasChecksum: true }),
  ];
  assert.deepEqual(zstdDecompressSync(whole), plain);
  const damaged = new ZstdFrameSplitter("a stream");
  assert.throws(() => [...damaged.push(Buffer.from("no frame at all"))], { code: "object_corrupt" });
  for (let length = 1; length < whole.length; length++) {
    const cut = new ZstdFrameSplitter("a stream");
    assert.deepEqual([...cut.push(whole.subarray(0, length))], []);
    assert.throws(() => cut.finish(), { code: "object_corrupt" });
  }
});
