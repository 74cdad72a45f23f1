import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { extract, type Header } from "tar-stream";
import { TAR_BLOCK_BYTES, tarHeader, tarTrailer } from "./tar.ts";

const words = fc.stringMatching(/^[a-z0-9_]{1,78}$/);

/** The headers that an independent reader finds. */
async function readHeaders(archive: Buffer): Promise<Header[]> {
  const found: Header[] = [];
  const reader = extract();
  reader.end(archive);
  for await (const entry of reader) {
    found.push(entry.header);
    entry.resume();
  }
  return found;
}

test("tarHeader() and tarTrailer() make what another reader takes for a folder and a file in it", async () => {
  await fc.assert(
    fc.asyncProperty(words, fc.nat(5000), fc.nat(2 ** 31), async (name, sizeBytes, seconds) => {
      const modifiedAt = new Date(seconds * 1000);
      const archive = Buffer.concat([
        tarHeader({ path: name, type: "folder", sizeBytes: 0, modifiedAt, mode: 0o755 }),
        tarHeader({ path: `${name}/${name}.pgsql`, type: "file", sizeBytes, modifiedAt, mode: 0o644 }),
        Buffer.alloc(sizeBytes, 1),
        tarTrailer(sizeBytes),
      ]);
      assert.equal(archive.length % TAR_BLOCK_BYTES, 0);
      const [folder, file] = await readHeaders(archive);
      assert.equal(folder?.name, `${name}/`.slice(0, folder?.name.length));
      assert.equal(folder?.type, "directory");
      assert.equal(file?.name, `${name}/${name}.pgsql`);
      assert.equal(file?.size, sizeBytes);
      assert.equal(file?.mtime?.getTime(), modifiedAt.getTime());
      assert.equal(file?.mode, 0o644);
    }),
  );
});

test("tarHeader() holds sizes of any length, in base-256 from 8 GiB on", () => {
  const eightGib = 8 * 1024 ** 3;
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(eightGib - 1, eightGib), fc.maxSafeNat()), (sizeBytes) => {
      const header = tarHeader({ path: "x", type: "file", sizeBytes, modifiedAt: new Date(0), mode: 0o644 });
      const first = header.readUInt8(124);
      assert.equal(first === 0x80, sizeBytes >= eightGib);
      const read =
        first === 0x80 ? Number(header.readBigUInt64BE(128)) : Number.parseInt(header.toString("latin1", 124, 135), 8);
      assert.equal(read, sizeBytes);
    }),
  );
});
