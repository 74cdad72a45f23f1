import { createHash, createHmac, hkdfSync } from "node:crypto";
import { Readable, pipeline } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";
import { TidemarkError } from "../core/errors.ts";
import type { Store } from "../storage/store.ts";
import { decryptAge, encryptAge } from "../stream/age.ts";
import { type ByteStream, inBlocks, once, readAll } from "../stream/byte-stream.ts";
import { databasePrefix } from "./layout.ts";
import type { Repository } from "./repository.ts";
import { ZSTD_WINDOW_LOG_MAX, damagedZstd } from "../stream/zstd.ts";
import { compressFrames } from "./zstd-frames.ts";

/**
 * Level 1: measured on heap and index pages at 2 to 3 times the speed of level 3, with 5 % larger files, and smaller ones on text-heavy rows.
 * Objects say nothing of the level, so it can change at any time.
 */
const ZSTD_LEVEL_DEFAULT = 1;
/** One frame's plain bytes: large enough for the ratio, small enough that all cores have work from a small volume. */
export const FRAME_BYTES = 4 * 1024 * 1024;
/** Manifests and other small objects; a manifest of 100,000 volumes is below it. */
const SMALL_OBJECT_BYTES_MAX = 256 * 1024 * 1024;
const NAME_KEY_BYTES = 32;
const NAME_KEY_INFO = "tidemark name key 1";

/** The physical backups of one database: where they lie, and who can read them. Holds secrets: never logged. */
export interface PhysicalArchive {
  readonly store: Store;
  /** The database's own folder in the store, without a slash at its end. */
  readonly prefix: string;
  /** Who can open what is written: `age1...`, one or more. */
  readonly recipients: readonly string[];
  /** Opens what was written before. */
  readonly identity: string;
  /** Keys the hashes in names, so that a name proves the content to us and tells others nothing. */
  readonly nameKey: Buffer;
  /** Frames compressed at once, over all objects being written: the number of cores. */
  readonly framesInFlight: number;
  /** Of what is written; what was written before is read whatever its level. */
  readonly zstdLevel: number;
}

export interface PhysicalArchiveOptions {
  readonly repository: Repository;
  readonly databaseId: string;
  readonly recipients: readonly string[];
  /** The database's own `AGE-SECRET-KEY-...`. */
  readonly identity: string;
  readonly framesInFlight: number;
  readonly zstdLevel?: number;
}

/** Derives the key of the names from the database's identity: whoever can read the backups can check their names. */
export function openPhysicalArchive(options: PhysicalArchiveOptions): PhysicalArchive {
  const nameKey = Buffer.from(hkdfSync("sha256", options.identity, "", NAME_KEY_INFO, NAME_KEY_BYTES));
  const { recipients, identity, framesInFlight, zstdLevel = ZSTD_LEVEL_DEFAULT } = options;
  const prefix = `${databasePrefix(options.databaseId)}physical`;
  return { store: options.repository.store, prefix, recipients, identity, framesInFlight, zstdLevel, nameKey };
}

/** What is known of an object after it was written. */
export interface StoredBytes {
  readonly plainBytes: number;
  readonly plainSha256: string;
  readonly storedBytes: number;
  readonly storedSha256: string;
}

export interface WriteCall {
  readonly signal?: AbortSignal | undefined;
  readonly overwrite?: boolean;
}

/**
 * Writes an object as zstd frames in an age file. Memory: the frames in flight, plain and compressed.
 *
 * @param plain at least one byte; in chunks of any size
 * @param sizeBytesMax what comes at most, if that is known: a small object needs no large block
 * @returns sizes and SHA-256 of the plain and of the stored bytes
 * @throws what the store throws; the source's own error. Nothing is visible then
 */
export async function writeObject(
  archive: PhysicalArchive,
  key: string,
  plain: ByteStream,
  call: WriteCall & { readonly sizeBytesMax?: number } = {},
): Promise<StoredBytes> {
  const blockBytes = Math.max(1, Math.min(FRAME_BYTES, call.sizeBytesMax ?? FRAME_BYTES));
  // Blocks are filled again and again: fresh ones would keep the garbage collector busy.
  const spare: Buffer[] = [];
  const blocks = inBlocks(plain, blockBytes, () => spare.pop() ?? Buffer.allocUnsafeSlow(blockBytes));
  const release = (block: Uint8Array): void => {
    if (block.length === blockBytes) spare.push(Buffer.from(block.buffer, block.byteOffset, block.byteLength));
  };
  return writeFrames(archive, key, { blocks, release }, call);
}

/** Plain bytes in blocks, each of which becomes a frame. */
export interface FrameSource {
  /** At least one that isn't empty; up to `FRAME_BYTES` each. */
  readonly blocks: AsyncIterable<Uint8Array>;
  /** Called with a block that is no longer needed. */
  readonly release: (block: Uint8Array) => void;
}

/** As `writeObject`, for a source that makes the frames' blocks itself, and no copy of them. */
export async function writeFrames(
  archive: PhysicalArchive,
  key: string,
  source: FrameSource,
  call: WriteCall = {},
): Promise<StoredBytes> {
  const plainHash = createHash("sha256");
  const storedHash = createHash("sha256");
  let plainBytes = 0;
  let storedBytes = 0;
  const blocks = observed(source.blocks, (block) => {
    plainHash.update(block);
    plainBytes += block.length;
  });
  const frames = compressFrames(blocks, {
    level: archive.zstdLevel,
    inFlight: archive.framesInFlight,
    release: source.release,
  });
  const stored = observed(encryptAge(archive.recipients, frames), (chunk) => {
    storedHash.update(chunk);
    storedBytes += chunk.length;
  });
  await archive.store.put(key, stored, {
    ...(call.signal === undefined ? {} : { signal: call.signal }),
    ...(call.overwrite === undefined ? {} : { overwrite: call.overwrite }),
  });
  return {
    plainBytes,
    plainSha256: plainHash.digest("hex"),
    storedBytes,
    storedSha256: storedHash.digest("hex"),
  };
}

/**
 * Reads an object that `writeObject` wrote.
 *
 * @param onStored sees the stored bytes as they pass, to hash them
 * @throws `object_not_found`, `object_corrupt`, `key_missing`, and what the store throws
 */
export async function* readObject(
  archive: PhysicalArchive,
  key: string,
  options: { readonly signal?: AbortSignal | undefined; readonly onStored?: (chunk: Uint8Array) => void } = {},
): AsyncGenerator<Uint8Array> {
  const stored = archive.store.get(key, options.signal === undefined ? {} : { signal: options.signal });
  const seen = options.onStored === undefined ? stored : observed(stored, options.onStored);
  yield* decompressFrames(decryptAge(seen, archive.identity, key), key);
}

/** A small object at once. @throws as `readObject` */
export async function readSmallObject(archive: PhysicalArchive, key: string, signal?: AbortSignal): Promise<Buffer> {
  return readAll(readObject(archive, key, { signal }), SMALL_OBJECT_BYTES_MAX);
}

/** A small object at once. */
export async function writeSmallObject(
  archive: PhysicalArchive,
  key: string,
  bytes: Uint8Array,
  call: WriteCall = {},
): Promise<StoredBytes> {
  return writeObject(archive, key, once(bytes), { ...call, sizeBytesMax: bytes.length });
}

/** Keyed hash of bytes, as names carry it: 64 hex digits. */
export async function nameMac(archive: PhysicalArchive, plain: ByteStream): Promise<string> {
  const mac = createHmac("sha256", archive.nameKey);
  for await (const chunk of plain) mac.update(chunk);
  return mac.digest("hex");
}

async function* decompressFrames(frames: ByteStream, what: string): AsyncGenerator<Uint8Array> {
  const decompress = createZstdDecompress({
    chunkSize: 256 * 1024,
    params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
  });
  // The failure, of whichever end, comes out of the iteration below.
  pipeline(Readable.from(frames, { objectMode: false }), decompress, () => undefined);
  try {
    for await (const chunk of decompress) yield asBytes(chunk);
  } catch (error) {
    if (error instanceof TidemarkError || !isZstdError(error)) throw error;
    throw damagedZstd(what, error);
  } finally {
    decompress.destroy();
  }
}

function isZstdError(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return error.code.startsWith("ZSTD_") || error.code === "Z_BUF_ERROR";
}

function asBytes(chunk: unknown): Uint8Array {
  // A stream that isn't in object mode and has no encoding gives buffers.
  return chunk as Uint8Array;
}

async function* observed<Chunk extends Uint8Array>(
  source: AsyncIterable<Chunk>,
  see: (chunk: Chunk) => void,
): AsyncGenerator<Chunk> {
  for await (const chunk of source) {
    see(chunk);
    yield chunk;
  }
}
