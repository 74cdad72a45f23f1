import { TidemarkError } from "../core/errors.ts";

/** RFC 8878, section 3.1 */
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_REPEATED = 1;
const CHECKSUM_BYTES = 4;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
/** Held at once. Ours hold 4 MiB of content; one that is larger than this is no frame of a repository. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024;
const FIRST_CAPACITY_BYTES = 4 * 1024 * 1024;

/**
 * Cuts a zstd stream that arrives in pieces into its frames, which can be decompressed apart from each other. Memory: one frame.
 */
export class ZstdFrameSplitter {
  readonly #what: string;
  #buffer = Buffer.allocUnsafeSlow(FIRST_CAPACITY_BYTES);
  #length = 0;
  /** How far the current frame was looked through: the next block's header, or its end. */
  #at = 0;
  #isPastHeader = false;
  #hasChecksum = false;
  #isPastLastBlock = false;

  /** @param what names the object in errors */
  constructor(what: string) {
    this.#what = what;
  }

  /**
   * @returns the frames that are whole now; each is a view that is valid until the next one is asked for
   * @throws `object_corrupt` for bytes that are no frame
   */
  *push(bytes: Uint8Array): Generator<Buffer> {
    this.#append(bytes);
    for (let end = this.#findEnd(); end !== undefined; end = this.#findEnd()) {
      yield this.#buffer.subarray(0, end);
      this.#buffer.copy(this.#buffer, 0, end, this.#length);
      this.#length -= end;
      this.#at = 0;
      this.#isPastHeader = false;
      this.#isPastLastBlock = false;
    }
  }

  /** @throws `object_corrupt` when the stream ends inside a frame */
  finish(): void {
    if (this.#length > 0) throw this.#damaged("it ends inside a frame");
  }

  #append(bytes: Uint8Array): void {
    const wanted = this.#length + bytes.length;
    if (wanted > FRAME_BYTES_MAX) throw this.#damaged("a frame is larger than any that is written");
    if (wanted > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = wanted;
  }

  /** Where the frame at the buffer's start ends; undefined while that isn't known. */
  #findEnd(): number | undefined {
    if (!this.#isPastHeader && !this.#passHeader()) return undefined;
    while (!this.#isPastLastBlock) {
      if (this.#length < this.#at + BLOCK_HEADER_BYTES) return undefined;
      const header = this.#buffer.readUIntLE(this.#at, BLOCK_HEADER_BYTES);
      const contentBytes = ((header >>> 1) & 3) === BLOCK_REPEATED ? 1 : header >>> 3;
      this.#at += BLOCK_HEADER_BYTES + contentBytes;
      if ((header & 1) === 0) continue;
      this.#isPastLastBlock = true;
      this.#at += this.#hasChecksum ? CHECKSUM_BYTES : 0;
    }
    return this.#length < this.#at ? undefined : this.#at;
  }

  #passHeader(): boolean {
    if (this.#length < MAGIC_BYTES + 1) return false;
    const magic = this.#buffer.readUInt32LE(0);
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) return this.#passSkippable();
    if (magic !== FRAME_MAGIC) throw this.#damaged("it has no zstd frame where one begins");
    const descriptor = this.#buffer.readUInt8(MAGIC_BYTES);
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >>> 6;
    const contentSizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
    const windowBytes = isSingleSegment ? 0 : 1;
    this.#at = MAGIC_BYTES + 1 + windowBytes + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + contentSizeBytes;
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    this.#isPastHeader = true;
    return true;
  }

  /** Holds anything but content, and its size. */
  #passSkippable(): boolean {
    if (this.#length < MAGIC_BYTES + 4) return false;
    this.#at = MAGIC_BYTES + 4 + this.#buffer.readUInt32LE(MAGIC_BYTES);
    this.#hasChecksum = false;
    this.#isPastHeader = true;
    this.#isPastLastBlock = true;
    return true;
  }

  #damaged(how: string): TidemarkError {
    return new TidemarkError("object_corrupt", `Cannot read "${this.#what}": ${how}`, {
      hint: "The stored bytes were changed or cut; use another backup and check the storage",
    });
  }
}
