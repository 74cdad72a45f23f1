import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { isErrorCode } from "../core/errors.ts";
import { readMultipartFile } from "./multipart-file.ts";

const BOUNDARY = "----boundary7MA4YWxk";
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** Bytes among which pieces of the boundary are likely. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom("\r\n", "--", `\r\n--${BOUNDARY.slice(0, 9)}`, "-", "\r").map((text) => Buffer.from(text)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.concat(parts))
  .filter((bytes) => !bytes.includes(`\r\n--${BOUNDARY}`));

function formOf(name: string, bytes: Uint8Array): Buffer {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
}

async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function gather(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(bytes));
}

describe("readMultipartFile()", () => {
  test("gives back the file, however the form is cut", async () => {
    await fc.assert(
      fc.asyncProperty(content, fc.integer({ min: 1, max: 400 }), async (bytes, pieceBytes) => {
        const file = await readMultipartFile(inPieces(formOf("a.bin", bytes), pieceBytes), TYPE);
        assert.equal(file.name, "a.bin");
        assert.deepEqual(await gather(file.bytes), Buffer.from(bytes));
      }),
    );
  });

  test("refuses a form that was cut off, and never takes it for a shorter file", async () => {
    await fc.assert(
      fc.asyncProperty(content, fc.integer({ min: 1, max: 30 }), async (bytes, missing) => {
        const form = formOf("a.bin", bytes);
        const cut = form.subarray(0, form.length - missing - `--\r\n`.length);
        const read = async (): Promise<Buffer> => gather((await readMultipartFile(inPieces(cut, 50), TYPE)).bytes);
        await assert.rejects(read, (error) => isErrorCode(error, "bad_request"));
      }),
    );
  });

  test("leaves folders of the sender's machine away, and refuses names that are none", async () => {
    const nameOf = async (name: string): Promise<string> =>
      (await readMultipartFile(inPieces(formOf(name, Buffer.from("x")), 1000), TYPE)).name;
    assert.equal(await nameOf("../../etc/cron.d/x"), "x");
    assert.equal(await nameOf("C:\\\\Users\\\\me\\\\dump.pgsql"), "dump.pgsql");
    for (const name of ["", "..", "a/..", "x".repeat(300), "\u0001"])
      await assert.rejects(nameOf(name), (error) => isErrorCode(error, "bad_request"), name);
  });

  test("refuses what is no form", async () => {
    for (const type of [undefined, "application/json", "multipart/form-data"]) {
      const read = readMultipartFile(inPieces(Buffer.from("{}"), 1), type);
      await assert.rejects(read, (error) => isErrorCode(error, "unsupported_media_type"));
    }
  });
});
