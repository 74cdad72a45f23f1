import { createHash } from "node:crypto";
import type { ByteStream } from "./byte-stream.ts";

export interface Sha256Meter {
  /** The same chunks, counted and hashed as they pass. */
  through(source: ByteStream): AsyncGenerator<Uint8Array>;
  /** Adds bytes that don't pass. */
  add(bytes: Uint8Array): void;
  /** Bytes so far. */
  readonly sizeBytes: number;
  /** SHA-256 of the bytes so far, 64 hex digits. */
  digest(): string;
}

/** Counts and hashes bytes on their way. */
export function createSha256Meter(): Sha256Meter {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const add = (bytes: Uint8Array): void => {
    hash.update(bytes);
    sizeBytes += bytes.length;
  };
  return {
    async *through(source) {
      for await (const chunk of source) {
        add(chunk);
        yield chunk;
      }
    },
    add,
    get sizeBytes() {
      return sizeBytes;
    },
    digest: () => hash.copy().digest("hex"),
  };
}

/** SHA-256 of a small object, 64 hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
