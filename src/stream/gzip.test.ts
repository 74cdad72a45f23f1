import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { readAll } from "./byte-stream.ts";
import { gunzip, gzipParallel, storedGzipMember } from "./gzip.ts";

const HOW = { level: 1, blockSizeBytes: 1000, inFlight: 3 };

test("gzipParallel() throws what its source throws, after the members before it", async () => {
  const failure = new Error("cut");
  async function* source(): AsyncGenerator<Uint8Array> {
    yield randomBytes(5500);
    throw failure;
  }
  await assert.rejects(readAll(gzipParallel(source(), HOW), 1e6), (error) => error === failure);
});

test("gzipParallel() ends its source when its consumer stops", async () => {
  let ended = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield randomBytes(1000);
    } finally {
      ended = true;
    }
  }
  for await (const member of gzipParallel(source(), HOW)) if (member.length > 0) break;
  assert.ok(ended);
});

test("gzipParallel() reads no further ahead than its blocks in flight", async () => {
  let taken = 0;
  async function* source(): AsyncGenerator<Uint8Array> {
    for (; taken < 100; taken++) yield randomBytes(1000);
  }
  const members = gzipParallel(source(), HOW);
  await members.next();
  assert.ok(taken <= HOW.inFlight, `${taken} blocks were read for one member`);
  await members.return(undefined);
});

test("gunzip() fails on damaged and on cut bytes", async () => {
  const member = storedGzipMember(randomBytes(5000));
  const flipped = Buffer.from(member);
  flipped.writeUInt8(flipped.readUInt8(2000) ^ 1, 2000);
  for (const bad of [flipped, member.subarray(0, -3)])
    await assert.rejects(
      readAll(
        gunzip(
          (async function* () {
            yield bad;
          })(),
        ),
        1e6,
      ),
    );
});
