import { assert } from "../core/assert.ts";
import { AGE_CHUNK_BYTES, AGE_TAG_BYTES, sealChunk, sealChunks, type AgeFile } from "./age.ts";
import type { ByteStream } from "./byte-stream.ts";

export interface DeferredAge {
  /** Size of header and first chunk, which lie before the body; with an empty body the head can come out shorter. */
  readonly headSizeBytes: number;
  /** All chunks but the first. */
  readonly body: ByteStream;
  /** Header and first chunk, once the body has ended. @param missing the plain bytes before those of `rest`, of the announced number. */
  head(missing: Uint8Array): Buffer;
}

/**
 * Encrypts plain bytes whose beginning is known last. The first chunk is held back until then; memory: that chunk and what `sealChunks` needs.
 *
 * @param missingBytes how many bytes come last, less than one chunk.
 * @param rest all that follows them.
 */
export function encryptDeferred(file: AgeFile, missingBytes: number, rest: ByteStream): DeferredAge {
  assert(missingBytes < AGE_CHUNK_BYTES, "what is missing lies in the first chunk");
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  let continues = false;
  let ended = false;

  async function* afterFirstChunk(): AsyncGenerator<Uint8Array> {
    for await (const chunk of rest) {
      const taken = Math.min(chunk.length, AGE_CHUNK_BYTES - missingBytes - heldBytes);
      if (taken > 0) held.push(chunk.subarray(0, taken));
      heldBytes += taken;
      if (taken === chunk.length) continue;
      continues = true;
      yield chunk.subarray(taken);
    }
    ended = true;
  }

  return {
    headSizeBytes: file.header.length + AGE_CHUNK_BYTES + AGE_TAG_BYTES,
    body: sealChunks(file, 1, afterFirstChunk()),
    head(missing) {
      assert(ended && missing.length === missingBytes, "the head is asked for at the end, with what was missing");
      const plain = Buffer.concat([missing, ...held]);
      return Buffer.concat([file.header, sealChunk(file, { number: 0, isLast: !continues }, plain)]);
    },
  };
}
