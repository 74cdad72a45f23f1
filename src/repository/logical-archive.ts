import { randomBytes } from "node:crypto";
import { assert } from "../core/assert.ts";
import { TidemarkError } from "../core/errors.ts";
import {
  AGE_HEADER_BYTES_MAX,
  agePlainSizeBytes,
  ageSizeBytes,
  createAgeFile,
  openAgeFile,
  openChunks,
  planAgeRange,
  type AgeFile,
} from "../stream/age.ts";
import { encryptDeferred } from "../stream/age-deferred.ts";
import { readAll, sliceBytes, type ByteStream } from "../stream/byte-stream.ts";
import {
  gunzip,
  gzipParallel,
  storedGzipMember,
  storedGzipMemberSizeBytes,
  type ParallelGzip,
} from "../stream/gzip.ts";
import { createSha256Meter } from "../stream/sha256.ts";
import { TAR_BLOCK_BYTES, tarHeader, tarTrailer } from "../stream/tar.ts";
import { logicalArchiveKey } from "./layout.ts";
import type { LogicalManifest } from "./logical-manifest.ts";
import type { Repository } from "./repository.ts";

/** The archive begins with the headers of a folder and of the dump in it. */
const TAR_HEADERS_BYTES = 2 * TAR_BLOCK_BYTES;
/** 1,047: the stored gzip member that holds these headers. */
const HEAD_MEMBER_BYTES = storedGzipMemberSizeBytes(TAR_HEADERS_BYTES);

const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

export interface ArchiveContent {
  readonly databaseId: string;
  readonly backupId: string;
  /** Name of the folder and of the dump in it, from `archiveName`. */
  readonly name: string;
  readonly startedAt: Date;
  /** A custom-format dump without compression of its own. */
  readonly dump: ByteStream;
  readonly recipients: readonly string[];
  readonly compression: ParallelGzip;
}

/** An archive in the store that no manifest names yet. */
export interface StoredArchive {
  readonly key: string;
  readonly fileName: string;
  readonly dumpSizeBytes: number;
  readonly sizeBytes: number;
  readonly storedSizeBytes: number;
  /** The archive's first bytes, and SHA-256 of all that follows them: what went in. */
  readonly head: Buffer;
  readonly tailSha256: string;
  readonly age: AgeFile;
}

/** What reading back found. */
export interface VerifiedArchive {
  readonly sha256: string;
  readonly storedSha256: string;
}

export interface ArchiveReader {
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Bytes of the archive, decrypted and authenticated on the way; all of it without a range. Errors as `Store.get`, and `object_corrupt`. */
  read(range?: { readonly offsetBytes: number; readonly lengthBytes: number }, signal?: AbortSignal): ByteStream;
  /** The dump inside, decompressed on the way. */
  readDump(signal?: AbortSignal): ByteStream;
}

interface Call {
  readonly signal?: AbortSignal;
}

/** `20231207000608_my_app_4553`: the start in UTC and the resource id. */
export function archiveName(startedAt: Date, resourceId: string): string {
  assert(/^[A-Za-z0-9_-]{1,63}$/.test(resourceId), `"${resourceId}" is a resource id`);
  return `${startedAt.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}_${resourceId}`;
}

/**
 * Stores the archive of a dump under a name of its own. It is no backup yet: `verifyStoredArchive`, then `writeLogicalManifest`.
 *
 * One pass, no spool. Memory: the compression's blocks (`gzipParallel`), 64 KiB of the first chunk, one compressed block on its way to the store.
 *
 * @throws what the dump throws, and what `Store.putDeferred` does; nothing is visible then.
 */
export async function storeLogicalArchive(
  { store }: Repository,
  content: ArchiveContent,
  call: Call = {},
): Promise<StoredArchive> {
  const { databaseId, backupId, name } = content;
  const key = logicalArchiveKey(databaseId, backupId, randomBytes(4).toString("hex"));
  const age = await createAgeFile(content.recipients);
  const tail = createSha256Meter();
  let dumpSizeBytes = 0;

  async function* countedDump(): AsyncGenerator<Uint8Array> {
    for await (const chunk of content.dump) {
      dumpSizeBytes += chunk.length;
      yield chunk;
    }
  }
  async function* afterHead(): AsyncGenerator<Uint8Array> {
    yield* gzipParallel(countedDump(), content.compression);
    yield* gzipParallel(single(tarTrailer(dumpSizeBytes)), content.compression);
  }

  const encrypted = encryptDeferred(age, HEAD_MEMBER_BYTES, tail.through(afterHead()));
  let head: Buffer = Buffer.alloc(0);
  const stored = await store.putDeferred(
    key,
    {
      headSizeBytes: encrypted.headSizeBytes,
      body: encrypted.body,
      head: async () => {
        head = headMember(name, content.startedAt, dumpSizeBytes);
        return encrypted.head(head);
      },
    },
    call,
  );
  const sizeBytes = HEAD_MEMBER_BYTES + tail.sizeBytes;
  assert(stored.sizeBytes === ageSizeBytes(age, sizeBytes), "the stored size is that of the sealed archive");
  return {
    key,
    fileName: `${name}.tar.gz`,
    dumpSizeBytes,
    sizeBytes,
    storedSizeBytes: stored.sizeBytes,
    head,
    tailSha256: tail.digest(),
    age,
  };
}

/**
 * Reads a stored archive back whole, once: every chunk is authenticated and the bytes must be those that went in.
 *
 * @throws `object_corrupt` when they are not.
 */
export async function verifyStoredArchive(
  { store }: Repository,
  archive: StoredArchive,
  call: Call & { readonly onBytes?: (storedBytes: number) => void } = {},
): Promise<VerifiedArchive> {
  const { key, age } = archive;
  const stored = createSha256Meter();
  const plain = createSha256Meter();
  const tail = createSha256Meter();
  const header = await readAll(
    store.get(key, { ...call, offsetBytes: 0, lengthBytes: age.header.length }),
    age.header.length,
  );
  if (!header.equals(age.header)) throw corrupt(key, "its header is not the one that was written");
  stored.add(header);
  const payload = stored.through(store.get(key, { ...call, offsetBytes: age.header.length }));
  for await (const chunk of openChunks(age, { firstChunk: 0, reachesEnd: true, stored: payload }, key)) {
    const headBytes = Math.max(0, Math.min(chunk.length, HEAD_MEMBER_BYTES - plain.sizeBytes));
    if (
      headBytes > 0 &&
      !archive.head.subarray(plain.sizeBytes).subarray(0, headBytes).equals(chunk.subarray(0, headBytes))
    )
      throw corrupt(key, "the archive's first bytes are not those that were written");
    plain.add(chunk);
    tail.add(chunk.subarray(headBytes));
    call.onBytes?.(stored.sizeBytes);
  }
  if (plain.sizeBytes !== archive.sizeBytes || stored.sizeBytes !== archive.storedSizeBytes)
    throw corrupt(key, `${plain.sizeBytes} bytes came back, expected ${archive.sizeBytes}`);
  if (tail.digest() !== archive.tailSha256) throw corrupt(key, "the bytes are not those that were written");
  return { sha256: plain.digest(), storedSha256: stored.digest() };
}

/** Reads an archive that this process has just stored, before its manifest exists. */
export function readStoredArchive(repository: Repository, archive: StoredArchive): ArchiveReader {
  return reader(repository, archive.age, archive);
}

/**
 * Opens the archive of a committed backup.
 *
 * @param identity the database's, unwrapped.
 * @throws `object_not_found`, `object_corrupt` when the object's size is not the manifest's or its header is damaged, `key_missing`.
 */
export async function openLogicalArchive(
  repository: Repository,
  { archive, dump }: LogicalManifest,
  identity: string,
  call: Call = {},
): Promise<ArchiveReader> {
  const found = await repository.store.head(archive.key, call);
  if (found === undefined)
    throw new TidemarkError("object_not_found", `Cannot read "${archive.key}": the manifest names it, but it is gone`);
  if (found.sizeBytes !== archive.storedSizeBytes)
    throw corrupt(archive.key, `it has ${found.sizeBytes} bytes, expected ${archive.storedSizeBytes}`);
  const lengthBytes = Math.min(AGE_HEADER_BYTES_MAX, archive.storedSizeBytes);
  const start = await readAll(repository.store.get(archive.key, { ...call, offsetBytes: 0, lengthBytes }), lengthBytes);
  const age = await openAgeFile(start, identity, archive.key);
  if (agePlainSizeBytes(age, archive.storedSizeBytes, archive.key) !== archive.sizeBytes)
    throw corrupt(archive.key, "its size is not that of the archive that the manifest describes");
  return reader(repository, age, { ...archive, dumpSizeBytes: dump.sizeBytes });
}

interface Readable {
  readonly key: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly storedSizeBytes: number;
  readonly dumpSizeBytes: number;
}

function reader({ store }: Repository, age: AgeFile, archive: Readable): ArchiveReader {
  const { key, fileName, sizeBytes, storedSizeBytes, dumpSizeBytes } = archive;

  async function* read(
    range = { offsetBytes: 0, lengthBytes: sizeBytes },
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const plan = planAgeRange(age, storedSizeBytes, range, key);
    const stored = store.get(key, {
      offsetBytes: plan.storedOffsetBytes,
      lengthBytes: plan.storedLengthBytes,
      ...(signal === undefined ? {} : { signal }),
    });
    const from = { firstChunk: plan.firstChunk, reachesEnd: plan.reachesEnd, stored };
    yield* sliceBytes(openChunks(age, from, key), { offsetBytes: plan.skipBytes, lengthBytes: range.lengthBytes });
  }

  async function* readDump(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const tar = inflated(key, read(undefined, signal));
    yield* sliceBytes(tar, { offsetBytes: TAR_HEADERS_BYTES, lengthBytes: dumpSizeBytes });
  }

  return { fileName, sizeBytes, read, readDump };
}

async function* inflated(key: string, archive: ByteStream): AsyncGenerator<Uint8Array> {
  try {
    yield* gunzip(archive);
  } catch (error) {
    if (error instanceof TidemarkError || !isZlibError(error)) throw error;
    throw corrupt(key, "its gzip data is damaged", error);
  }
}

function isZlibError(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("Z_");
}

function headMember(name: string, startedAt: Date, dumpSizeBytes: number): Buffer {
  const folder = { path: name, type: "folder", sizeBytes: 0, modifiedAt: startedAt, mode: FOLDER_MODE } as const;
  const file = { path: `${name}/${name}.pgsql`, type: "file", sizeBytes: dumpSizeBytes, mode: FILE_MODE } as const;
  return storedGzipMember(Buffer.concat([tarHeader(folder), tarHeader({ ...file, modifiedAt: startedAt })]));
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function corrupt(key: string, how: string, cause?: unknown): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot read "${key}": ${how}`, {
    hint: "Check the storage; this object can't be relied upon",
    cause,
  });
}
