import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { crc32, createGunzip, gzip } from "node:zlib";
import { assert } from "../core/assert.ts";
import { inBlocks, type ByteStream } from "./byte-stream.ts";

const compress = promisify(gzip);

/** Gzip header without name or time: magic, method 8 (deflate), no flags, time 0, no hint, system 255 (unknown). RFC 1952, 2.3. */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const STORED_BLOCK_HEADER_BYTES = 5;
const GZIP_TRAILER_BYTES = 8;
/** A stored block's length has 16 bits. RFC 1951, 3.2.4. */
const STORED_BLOCK_BYTES_MAX = 65_535;
/** A member usually fits half its block, so zlib is asked once or twice; smaller pieces than this are not worth it. */
const OUTPUT_CHUNK_BYTES_MIN = 16 * 1024;
/** One call into zlib gives so much at once; the default of 16 KiB makes four times as many calls. */
const INFLATE_CHUNK_BYTES = 64 * 1024;

export interface ParallelGzip {
  /** 1 to 9. */
  readonly level: number;
  /** Plain bytes of one member: matches don't reach across members, so smaller blocks cost size, larger ones memory. */
  readonly blockSizeBytes: number;
  /** Members being compressed at once, on the threads of libuv's pool. */
  readonly inFlight: number;
}

/**
 * Compresses into independent gzip members, in order; joined they are an ordinary gzip file. Nothing for an empty source. Memory: at most
 * `inFlight + 1` blocks and as many compressed ones.
 */
export async function* gzipParallel(source: ByteStream, how: ParallelGzip): AsyncGenerator<Buffer> {
  const members: Promise<Buffer>[] = [];
  const options = {
    level: how.level,
    memLevel: 9,
    chunkSize: Math.max(OUTPUT_CHUNK_BYTES_MIN, Math.ceil(how.blockSizeBytes / 2)),
  };
  const spare: Buffer[] = []; // blocks are used again and again: fresh ones would keep the garbage collector busy
  const takeBlock = (): Buffer => spare.pop() ?? Buffer.allocUnsafe(how.blockSizeBytes);
  try {
    for await (const block of inBlocks(source, how.blockSizeBytes, takeBlock)) {
      const member = compress(block, options).finally(() => {
        if (block.length === how.blockSizeBytes) spare.push(block);
      });
      member.catch(() => undefined); // thrown when its turn comes
      members.push(member);
      if (members.length < how.inFlight) continue;
      const first = members.shift();
      if (first !== undefined) yield await first;
    }
    for (let first = members.shift(); first !== undefined; first = members.shift()) yield await first;
  } finally {
    await Promise.allSettled(members);
  }
}

/**
 * The plain bytes of a gzip file of any number of members. Ending early ends the source.
 *
 * @throws what the source throws, or zlib's own error for damaged or cut input: the caller knows which object it was.
 */
export async function* gunzip(source: ByteStream): AsyncGenerator<Buffer> {
  const inflated = createGunzip({ chunkSize: INFLATE_CHUNK_BYTES });
  const feeding = pipeline(Readable.from(source), inflated);
  feeding.catch(() => undefined); // thrown by the loop below, which sees the same failure
  try {
    for await (const chunk of inflated) yield chunk;
  } finally {
    inflated.destroy();
    await feeding.catch(() => undefined);
  }
}

/** Size of `storedGzipMember`'s result for so many bytes. */
export function storedGzipMemberSizeBytes(plainSizeBytes: number): number {
  return GZIP_HEADER.length + STORED_BLOCK_HEADER_BYTES + plainSizeBytes + GZIP_TRAILER_BYTES;
}

/** A gzip member that holds its bytes as they are, so that its size depends on theirs alone. At most 65,535 bytes. */
export function storedGzipMember(bytes: Uint8Array): Buffer {
  assert(bytes.length <= STORED_BLOCK_BYTES_MAX, "a stored member fits one block");
  const block = Buffer.alloc(STORED_BLOCK_HEADER_BYTES);
  block[0] = 1; // last block, stored
  block.writeUInt16LE(bytes.length, 1);
  block.writeUInt16LE(~bytes.length & 0xffff, 3);
  const trailer = Buffer.alloc(GZIP_TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([GZIP_HEADER, block, bytes, trailer]);
}
