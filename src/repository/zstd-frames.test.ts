import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { compressFrames } from "./zstd-frames.ts";

async function collect(frames: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const frame of frames) parts.push(frame);
  return Buffer.concat(parts);
}

async function* each(blocks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* blocks;
}

const BLOCKS: Readonly<Record<string, readonly Buffer[]>> = {
  "one small block": [Buffer.from("x")],
  "one block": [randomBytes(3_000_000)],
  "compressible blocks": Array.from({ length: 9 }, (_, index) => Buffer.alloc(1_500_000, `text ${index} `)),
  "random blocks": Array.from({ length: 7 }, () => randomBytes(2_300_000)),
  "blocks of many sizes": [5, 70_000, 1, 4_194_304, 0, 99].map((size) => randomBytes(size)),
};

for (const [name, blocks] of Object.entries(BLOCKS))
  test(`compressFrames() gives back ${name} in order`, async () => {
    const compressed = await collect(compressFrames(each(blocks), { level: 1, inFlight: 3 }));
    assert.ok(zstdDecompressSync(compressed).equals(Buffer.concat(blocks)));
  });

test("compressFrames() gives every block back once it is done with it", async () => {
  const blocks = Array.from({ length: 6 }, () => randomBytes(100_000));
  const expected = Buffer.concat(blocks);
  const released: Uint8Array[] = [];
  const frames = compressFrames(each(blocks), {
    level: 1,
    inFlight: 2,
    release: (block) => {
      released.push(block);
      // Whoever gets it fills it at once.
      block.fill(0);
    },
  });
  assert.ok(zstdDecompressSync(await collect(frames)).equals(expected));
  assert.deepEqual(new Set(released), new Set(blocks));
});

test("compressFrames() gives nothing for nothing, and passes a source's failure on", async () => {
  assert.equal((await collect(compressFrames(each([]), { level: 1, inFlight: 2 }))).length, 0);
  async function* failing(): AsyncGenerator<Buffer> {
    yield randomBytes(1_000_000);
    yield randomBytes(1_000_000);
    throw new Error("the source broke");
  }
  await assert.rejects(collect(compressFrames(failing(), { level: 1, inFlight: 2 })), /the source broke/);
});

test("compressFrames() can be left early", async () => {
  const frames = compressFrames(each(BLOCKS["random blocks"] ?? []), { level: 1, inFlight: 2 });
  for await (const frame of frames) {
    assert.ok(frame.length > 0);
    break;
  }
});
