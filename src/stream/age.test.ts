import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { isErrorCode } from "../core/errors.ts";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { AGE_CHUNK_BYTES, createAgeFile, decryptAgeBytes, encryptAgeBytes, planAgeRange } from "./age.ts";

const run = promisify(execFile);
const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const hasAge = await run("age", ["--version"]).then(
  () => true,
  () => false,
);

test("decryptAgeBytes() names the file and the chunk in which a bit was flipped", async () => {
  const stored = await encryptAgeBytes([recipient], randomBytes(3 * AGE_CHUNK_BYTES));
  const headerBytes = stored.length - 3 * (AGE_CHUNK_BYTES + 16);
  for (const chunk of [0, 1, 2]) {
    const bad = Buffer.from(stored);
    const at = headerBytes + chunk * (AGE_CHUNK_BYTES + 16) + 77;
    bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
    await assert.rejects(decryptAgeBytes(bad, identity, "some/object"), (error) => {
      assert.ok(isErrorCode(error, "object_corrupt"));
      assert.match(error.message, new RegExp(`"some/object".*chunk ${chunk} `));
      return true;
    });
  }
});

test("decryptAgeBytes() notices a change of any byte of header, nonce or tag", async () => {
  const stored = await encryptAgeBytes([recipient], Buffer.from("secret"));
  for (let at = 0; at < stored.length; at++) {
    const bad = Buffer.from(stored);
    bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
    await assert.rejects(decryptAgeBytes(bad, identity, "x"), (error) => {
      assert.ok(
        isErrorCode(error, "object_corrupt") || isErrorCode(error, "key_missing"),
        `byte ${at}: ${String(error)}`,
      );
      return true;
    });
  }
});

test("decryptAgeBytes() notices a file that was cut, also at the end of a chunk, or continued", async () => {
  const stored = await encryptAgeBytes([recipient], randomBytes(2 * AGE_CHUNK_BYTES));
  const sealed = AGE_CHUNK_BYTES + 16;
  const damaged = [1, 15, 16, 17, sealed, sealed + 1, 2 * sealed, 2 * sealed + 1, stored.length].map((cut) =>
    stored.subarray(0, stored.length - cut),
  );
  for (const bad of [
    ...damaged,
    Buffer.concat([stored, Buffer.alloc(1)]),
    Buffer.concat([stored, stored.subarray(-sealed)]),
  ])
    await assert.rejects(decryptAgeBytes(bad, identity, "x"), (error) => isErrorCode(error, "object_corrupt"));
});

test("decryptAgeBytes() says key_missing when the file is for somebody else", async () => {
  const stored = await encryptAgeBytes([recipient], Buffer.from("secret"));
  const stranger = await generateX25519Identity();
  await assert.rejects(decryptAgeBytes(stored, stranger, "x"), (error) => isErrorCode(error, "key_missing"));
});

test("encryptAgeBytes() lets each of several recipients open the file alone", async () => {
  const second = await generateX25519Identity();
  const stored = await encryptAgeBytes([recipient, await identityToRecipient(second)], Buffer.from("secret"));
  for (const each of [identity, second]) assert.equal((await decryptAgeBytes(stored, each, "x")).toString(), "secret");
});

test("planAgeRange() refuses a range that is not inside the file", async () => {
  const file = await createAgeFile([recipient]);
  const storedSizeBytes = file.header.length + 100 + 16;
  for (const range of [
    { offsetBytes: 0, lengthBytes: 101 },
    { offsetBytes: 101, lengthBytes: 0 },
    { offsetBytes: -1, lengthBytes: 1 },
  ])
    assert.throws(
      () => planAgeRange(file, storedSizeBytes, range, "x"),
      (error) => isErrorCode(error, "range_not_satisfiable"),
    );
});

test(
  "encryptAgeBytes() writes what the age program decrypts",
  { skip: !hasAge && "no age program here" },
  async (context) => {
    const folder = await makeTempFolder(context);
    await writeFile(join(folder, "identity"), identity, { mode: 0o600 });
    for (const sizeBytes of [0, 1, AGE_CHUNK_BYTES, AGE_CHUNK_BYTES + 1, 300_000]) {
      const plain = randomBytes(sizeBytes);
      await writeFile(join(folder, "file.age"), await encryptAgeBytes([recipient], plain));
      const { stdout } = await run(
        "age",
        ["--decrypt", "--identity", join(folder, "identity"), join(folder, "file.age")],
        {
          encoding: "buffer",
        },
      );
      assert.ok(plain.equals(stdout));
    }
  },
);
