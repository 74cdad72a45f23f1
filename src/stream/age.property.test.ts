import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import * as fc from "fast-check";
import {
  AGE_CHUNK_BYTES,
  AGE_TAG_BYTES,
  ageSizeBytes,
  createAgeFile,
  decryptAge,
  decryptAgeBytes,
  encryptAge,
  encryptAgeBytes,
  openAgeFile,
  openChunks,
  planAgeRange,
} from "./age.ts";
import { encryptDeferred } from "./age-deferred.ts";
import { readAll, sliceBytes } from "./byte-stream.ts";
import { split } from "./split.fixture.ts";

const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const LIMIT_BYTES = 64 * 1024 * 1024;

/** Sizes around the borders of chunks, where mistakes live, and any between. */
const sizes = fc.oneof(
  fc.constantFrom(0, 1, AGE_CHUNK_BYTES - 1, AGE_CHUNK_BYTES, AGE_CHUNK_BYTES + 1, 2 * AGE_CHUNK_BYTES),
  fc.integer({ min: 0, max: 5 * AGE_CHUNK_BYTES }),
);
const cuts = fc.array(fc.nat({ max: 6 * AGE_CHUNK_BYTES }), { maxLength: 12 });

test("encryptAge() and decryptAge() give back the bytes for any size and any split of them", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, cuts, cuts, async (sizeBytes, plainCuts, storedCuts) => {
      const plain = randomBytes(sizeBytes);
      const stored = await readAll(encryptAge([recipient], split(plain, plainCuts)), LIMIT_BYTES);
      const back = await readAll(decryptAge(split(stored, storedCuts), identity, "test"), LIMIT_BYTES);
      assert.ok(back.equals(plain));
    }),
    { numRuns: 60 },
  );
});

test("encryptAge() writes what another implementation of age reads, and decryptAge() reads what it writes", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, async (sizeBytes) => {
      const plain = randomBytes(sizeBytes);
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      assert.ok(plain.equals(await decrypter.decrypt(await encryptAgeBytes([recipient], plain))));
      const encrypter = new Encrypter();
      encrypter.addRecipient(recipient);
      assert.ok(plain.equals(await decryptAgeBytes(await encrypter.encrypt(plain), identity, "test")));
    }),
    { numRuns: 15 },
  );
});

test("planAgeRange() finds the stored bytes of any range", async () => {
  const plain = randomBytes(4 * AGE_CHUNK_BYTES + 1234);
  const stored = await encryptAgeBytes([recipient], plain);
  const file = await openAgeFile(stored, identity, "test");
  const offsets = fc.oneof(
    fc.constantFrom(0, AGE_CHUNK_BYTES, 4 * AGE_CHUNK_BYTES, plain.length),
    fc.nat(plain.length),
  );
  await fc.assert(
    fc.asyncProperty(offsets, fc.nat(plain.length), cuts, async (offsetBytes, length, storedCuts) => {
      const range = { offsetBytes, lengthBytes: Math.min(length, plain.length - offsetBytes) };
      const plan = planAgeRange(file, stored.length, range, "test");
      const part = stored.subarray(plan.storedOffsetBytes, plan.storedOffsetBytes + plan.storedLengthBytes);
      assert.ok(
        part.length <= range.lengthBytes + 2 * (AGE_CHUNK_BYTES + AGE_TAG_BYTES),
        "no more than the chunks that are touched",
      );
      const opened = openChunks(file, { ...plan, stored: split(part, storedCuts) }, "test");
      const got = await readAll(
        sliceBytes(opened, { offsetBytes: plan.skipBytes, lengthBytes: range.lengthBytes }),
        LIMIT_BYTES,
      );
      assert.ok(got.equals(plain.subarray(offsetBytes, offsetBytes + range.lengthBytes)));
    }),
  );
});

test("encryptDeferred() gives the same file as if its beginning had been known first", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 2000 }), cuts, async (restBytes, missingBytes, restCuts) => {
      const plain = randomBytes(missingBytes + restBytes);
      const file = await createAgeFile([recipient]);
      const deferred = encryptDeferred(file, missingBytes, split(plain.subarray(missingBytes), restCuts));
      const body = await readAll(deferred.body, LIMIT_BYTES);
      const head = deferred.head(plain.subarray(0, missingBytes));
      assert.ok(head.length === deferred.headSizeBytes || body.length === 0);
      const stored = Buffer.concat([head, body]);
      assert.equal(stored.length, ageSizeBytes(file, plain.length));
      assert.ok(plain.equals(await decryptAgeBytes(stored, identity, "test")));
    }),
    { numRuns: 60 },
  );
});
