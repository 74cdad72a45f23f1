import assert from "node:assert/strict";
import { test } from "node:test";
import { promisify } from "node:util";
import { gunzip as gunzipAll } from "node:zlib";
import * as fc from "fast-check";
import { readAll } from "./byte-stream.ts";
import { gunzip, gzipParallel, storedGzipMember, storedGzipMemberSizeBytes } from "./gzip.ts";
import { split } from "./split.fixture.ts";

const inflate = promisify(gunzipAll);
const LIMIT_BYTES = 16 * 1024 * 1024;
const cuts = fc.array(fc.nat({ max: 20_000 }), { maxLength: 12 });

test("gzipParallel() keeps the bytes and their order, for any split and any number in flight", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 20_000 }),
      cuts,
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 9 }),
      async (bytes, places, blockSizeBytes, inFlight, level) => {
        const members = gzipParallel(split(bytes, places), { blockSizeBytes, inFlight, level });
        const zipped = await readAll(members, LIMIT_BYTES);
        if (bytes.length === 0) assert.equal(zipped.length, 0);
        else assert.ok((await inflate(zipped)).equals(bytes));
      },
    ),
  );
});

test("gunzip() reads joined members cut anywhere", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1 }), cuts, async (parts, places) => {
      const zipped = Buffer.concat(parts.map((part) => storedGzipMember(part)));
      const back = await readAll(gunzip(split(zipped, places)), LIMIT_BYTES);
      assert.ok(back.equals(Buffer.concat(parts)));
    }),
  );
});

test("storedGzipMember() has the announced size and unpacks to its bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 65_535 }), async (bytes) => {
      const member = storedGzipMember(bytes);
      assert.equal(member.length, storedGzipMemberSizeBytes(bytes.length));
      assert.ok((await inflate(member)).equals(bytes));
    }),
  );
});
