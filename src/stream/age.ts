import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { Decrypter, Encrypter } from "age-encryption";
import { assert } from "../core/assert.ts";
import { TidemarkError } from "../core/errors.ts";
import { type ByteStream, once } from "./byte-stream.ts";

/**
 * Files of age-encryption.org/v1. The header (who may open it) is made and opened by the package `age-encryption`; the payload is ours, since the
 * package's pure JavaScript reaches 110 MB/s, where node:crypto reaches 1,600, and since it offers neither ranges nor a first chunk that comes last.
 *
 * Payload: nonce of 16 bytes, then chunks of 64 KiB, each sealed with ChaCha20-Poly1305 (16 bytes more) under HKDF-SHA-256(file key, nonce, "payload");
 * a chunk's nonce is its number in 11 bytes, big endian, and 1 for the last chunk, else 0.
 */
export const AGE_CHUNK_BYTES = 64 * 1024;
export const AGE_TAG_BYTES = 16;
const SEALED_CHUNK_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES;
const NONCE_BYTES = 16;
const FILE_KEY_BYTES = 16;
const PAYLOAD_KEY_BYTES = 32;
const CIPHER = "chacha20-poly1305";
const CIPHER_OPTIONS = { authTagLength: AGE_TAG_BYTES };

/** Longest header that is read: about 100 X25519 recipients, or 8 post-quantum ones. */
export const AGE_HEADER_BYTES_MAX = 16 * 1024;

/** What opens one age file. Holds a secret: never logged, never stored. */
export interface AgeFile {
  /** Header and nonce: everything before the first chunk. */
  readonly header: Buffer;
  readonly payloadKey: Buffer;
}

/** Which stored bytes hold a range of the plain ones. */
export interface AgeRange {
  /** Number of the first chunk to open. */
  readonly firstChunk: number;
  readonly storedOffsetBytes: number;
  readonly storedLengthBytes: number;
  /** How many plain bytes of the first chunk lie before the range. */
  readonly skipBytes: number;
  /** True when the stored bytes go to the end of the file, so that the last chunk must say that it is the last. */
  readonly reachesEnd: boolean;
}

/**
 * Begins a new age file.
 *
 * @param recipients `age1...`, one or more; each can open it alone.
 */
export async function createAgeFile(recipients: readonly string[]): Promise<AgeFile> {
  assert(recipients.length > 0, "an age file has a recipient");
  let fileKey: Buffer | undefined;
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = Buffer.from(key);
      return []; // no stanza: this "recipient" only hands us the key that the package drew
    },
  });
  const empty = Buffer.from(await encrypter.encrypt(new Uint8Array()));
  assert(fileKey !== undefined && fileKey.length === FILE_KEY_BYTES, "the package gave out its file key");
  const headerEnd = findHeaderEnd(empty);
  assert(headerEnd !== undefined, "the package wrote a header");
  const nonce = randomBytes(NONCE_BYTES); // our own: the package has sealed an empty chunk under its nonce already
  return { header: Buffer.concat([empty.subarray(0, headerEnd), nonce]), payloadKey: payloadKey(fileKey, nonce) };
}

/**
 * Opens the header of an age file.
 *
 * @param start the file's first bytes, `AGE_HEADER_BYTES_MAX` of them or the whole file if it is shorter.
 * @param what names the file in errors.
 * @throws `key_missing` when the identity is none of the recipients, `object_corrupt` when the header is damaged.
 */
export async function openAgeFile(start: Uint8Array, identity: string, what: string): Promise<AgeFile> {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  const headerEnd = findHeaderEnd(bytes);
  if (headerEnd === undefined || bytes.length < headerEnd + NONCE_BYTES) throw corrupt(what, "no age header found");
  const fileKey = await openHeader(bytes.subarray(0, headerEnd), identity, what);
  const header = Buffer.from(bytes.subarray(0, headerEnd + NONCE_BYTES));
  return { header, payloadKey: payloadKey(fileKey, header.subarray(headerEnd)) };
}

/** Size of the whole file for so many plain bytes. */
export function ageSizeBytes(file: AgeFile, plainSizeBytes: number): number {
  const chunks = Math.max(1, Math.ceil(plainSizeBytes / AGE_CHUNK_BYTES));
  return file.header.length + plainSizeBytes + chunks * AGE_TAG_BYTES;
}

/** Seals one chunk. `plain` is of full size unless it is the last; an empty one is allowed only for an empty file. */
export function sealChunk(file: AgeFile, chunk: { number: number; isLast: boolean }, plain: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(plain.length + AGE_TAG_BYTES);
  sealInto(sealed, file, chunk, [plain]);
  return sealed;
}

/** Seals the parts of one chunk into a place of exactly their size and a tag's. */
function sealInto(
  place: Buffer,
  file: AgeFile,
  chunk: { number: number; isLast: boolean },
  parts: readonly Uint8Array[],
): void {
  const cipher = createCipheriv(CIPHER, file.payloadKey, chunkNonce(chunk.number, chunk.isLast), CIPHER_OPTIONS);
  let at = 0;
  for (const part of parts) at += cipher.update(part).copy(place, at);
  cipher.final();
  at += cipher.getAuthTag().copy(place, at);
  assert(at === place.length && at <= SEALED_CHUNK_BYTES, "a sealed chunk fills its place");
  assert(chunk.isLast || at === SEALED_CHUNK_BYTES, "every chunk but the last is full");
}

/** Opens one chunk. @throws `object_corrupt`, naming `what` and the chunk, when any bit of it differs from what was sealed. */
export function openChunk(
  file: AgeFile,
  chunk: { number: number; isLast: boolean },
  sealed: Uint8Array,
  what: string,
): Buffer {
  if (sealed.length < AGE_TAG_BYTES) throw corrupt(what, `chunk ${chunk.number} is cut short`);
  const decipher = createDecipheriv(CIPHER, file.payloadKey, chunkNonce(chunk.number, chunk.isLast), CIPHER_OPTIONS);
  decipher.setAuthTag(sealed.subarray(sealed.length - AGE_TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, sealed.length - AGE_TAG_BYTES));
  try {
    decipher.final();
  } catch (error) {
    throw corrupt(what, `chunk ${chunk.number} (64 KiB each) does not match its seal`, error);
  }
  if (plain.length === 0 && chunk.number > 0) throw corrupt(what, "the last chunk is empty");
  return plain;
}

/** A whole age file of the plain bytes: header, then sealed chunks. Memory: one chunk and what the source yields at once. */
export async function* encryptAge(recipients: readonly string[], plain: ByteStream): AsyncGenerator<Buffer> {
  const file = await createAgeFile(recipients);
  yield file.header;
  yield* sealChunks(file, 0, plain);
}

/**
 * Chunks from number `firstChunk` to the end of the file. Yields as much at once as the source did, so large blocks stay large writes, and copies
 * nothing: what it allocates is the garbage collector's work, which is felt at hundreds of megabytes a second.
 */
export async function* sealChunks(file: AgeFile, firstChunk: number, plain: ByteStream): AsyncGenerator<Buffer> {
  let number = firstChunk;
  let held: Uint8Array[] = []; // up to one whole chunk stays back: only the end tells which chunk is the last
  let heldBytes = 0;
  for await (const piece of plain) {
    const count = Math.max(0, Math.ceil((heldBytes + piece.length) / AGE_CHUNK_BYTES) - 1);
    const sealed = Buffer.allocUnsafe(count * SEALED_CHUNK_BYTES);
    let at = 0;
    for (let index = 0; index < count; index++) {
      const taken = AGE_CHUNK_BYTES - heldBytes;
      const place = sealed.subarray(index * SEALED_CHUNK_BYTES, (index + 1) * SEALED_CHUNK_BYTES);
      sealInto(place, file, { number: number++, isLast: false }, [...held, piece.subarray(at, at + taken)]);
      at += taken;
      held = [];
      heldBytes = 0;
    }
    held.push(piece.subarray(at));
    heldBytes += piece.length - at;
    if (count > 0) yield sealed;
  }
  if (heldBytes > 0 || number === 0) yield sealChunk(file, { number, isLast: true }, Buffer.concat(held));
}

/** The plain bytes of a whole age file. @throws as `openAgeFile` and `openChunk`; a file cut anywhere is `object_corrupt`. */
export async function* decryptAge(stored: ByteStream, identity: string, what: string): AsyncGenerator<Buffer> {
  let start: Buffer = Buffer.alloc(0);
  let file: AgeFile | undefined;
  const chunks = stored[Symbol.asyncIterator]();
  try {
    while (file === undefined) {
      const next = await chunks.next();
      if (next.done !== true) start = Buffer.concat([start, next.value]);
      const headerEnd = findHeaderEnd(start);
      const complete = headerEnd !== undefined && start.length >= headerEnd + NONCE_BYTES;
      if (complete || next.done === true || start.length > AGE_HEADER_BYTES_MAX)
        file = await openAgeFile(start, identity, what);
    }
    const rest = start.subarray(file.header.length);
    yield* openChunks(file, { firstChunk: 0, reachesEnd: true, stored: resume(rest, chunks) }, what);
  } finally {
    await chunks.return?.();
  }
}

/** The plain bytes of consecutive sealed chunks, the first of which has number `firstChunk`. */
export async function* openChunks(
  file: AgeFile,
  from: { readonly firstChunk: number; readonly reachesEnd: boolean; readonly stored: ByteStream },
  what: string,
): AsyncGenerator<Buffer> {
  const opener = new ChunkOpener(file, from, what);
  for await (const piece of from.stored) yield* opener.push(piece);
  yield* opener.finish();
}

/** Opens consecutive sealed chunks that arrive in pieces cut anywhere. Holds one chunk: only the end tells which is the last. */
export class ChunkOpener {
  readonly #file: AgeFile;
  readonly #reachesEnd: boolean;
  readonly #what: string;
  #number: number;
  /** Up to one whole sealed chunk. */
  #held: Buffer = Buffer.alloc(0);

  /** @param what names the file in errors */
  constructor(
    file: AgeFile,
    { firstChunk, reachesEnd }: { readonly firstChunk: number; readonly reachesEnd: boolean },
    what: string,
  ) {
    this.#file = file;
    this.#number = firstChunk;
    this.#reachesEnd = reachesEnd;
    this.#what = what;
  }

  /** @param piece is kept for a while, and must not be changed @throws as `openChunk` */
  *push(piece: Uint8Array): Generator<Buffer> {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    if (bytes.length === 0) return;
    let at = 0;
    if (this.#held.length > 0) {
      at = Math.min(SEALED_CHUNK_BYTES - this.#held.length, bytes.length);
      if (at > 0) this.#held = Buffer.concat([this.#held, bytes.subarray(0, at)]);
      if (at === bytes.length) return;
      yield this.#open(this.#held, false);
    }
    for (; bytes.length - at > SEALED_CHUNK_BYTES; at += SEALED_CHUNK_BYTES)
      yield this.#open(bytes.subarray(at, at + SEALED_CHUNK_BYTES), false);
    this.#held = bytes.subarray(at);
  }

  /** The last chunk. @throws as `openChunk` */
  *finish(): Generator<Buffer> {
    if (this.#held.length === 0) throw corrupt(this.#what, "it ends before its last chunk");
    const plain = this.#open(this.#held, this.#reachesEnd);
    if (plain.length > 0) yield plain;
  }

  #open(sealed: Buffer, isLast: boolean): Buffer {
    return openChunk(this.#file, { number: this.#number++, isLast }, sealed, this.#what);
  }
}

/**
 * Finds the stored bytes that hold a range of the plain ones.
 *
 * @param storedSizeBytes size of the whole file as stored.
 * @throws `range_not_satisfiable` when the range isn't inside the file, `object_corrupt` when no age file can have this size.
 */
export function planAgeRange(
  file: AgeFile,
  storedSizeBytes: number,
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
  what: string,
): AgeRange {
  const plainSizeBytes = agePlainSizeBytes(file, storedSizeBytes, what);
  const end = range.offsetBytes + range.lengthBytes;
  if (range.offsetBytes < 0 || range.lengthBytes < 0 || end > plainSizeBytes)
    throw new TidemarkError(
      "range_not_satisfiable",
      `Cannot read up to byte ${end} of "${what}": it has ${plainSizeBytes}`,
    );
  const payloadBytes = storedSizeBytes - file.header.length;
  const firstChunk = Math.min(Math.floor(range.offsetBytes / AGE_CHUNK_BYTES), lastChunk(payloadBytes));
  const endChunk = Math.max(firstChunk, Math.ceil(end / AGE_CHUNK_BYTES) - 1);
  const storedEnd = Math.min((endChunk + 1) * SEALED_CHUNK_BYTES, payloadBytes);
  return {
    firstChunk,
    storedOffsetBytes: file.header.length + firstChunk * SEALED_CHUNK_BYTES,
    storedLengthBytes: storedEnd - firstChunk * SEALED_CHUNK_BYTES,
    skipBytes: range.offsetBytes - firstChunk * AGE_CHUNK_BYTES,
    reachesEnd: storedEnd === payloadBytes,
  };
}

/** How many plain bytes a file of this stored size has. @throws `object_corrupt` when no age file can have this size. */
export function agePlainSizeBytes(file: AgeFile, storedSizeBytes: number, what: string): number {
  const payloadBytes = storedSizeBytes - file.header.length;
  if (payloadBytes < AGE_TAG_BYTES) throw corrupt(what, `${storedSizeBytes} bytes are too few`);
  const chunks = lastChunk(payloadBytes) + 1;
  const lastSealedBytes = payloadBytes - (chunks - 1) * SEALED_CHUNK_BYTES;
  if (lastSealedBytes <= AGE_TAG_BYTES && chunks > 1) throw corrupt(what, `${storedSizeBytes} bytes are no whole file`);
  return payloadBytes - chunks * AGE_TAG_BYTES;
}

/** A small secret or object, sealed at once. */
export async function encryptAgeBytes(recipients: readonly string[], plain: Uint8Array): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of encryptAge(recipients, once(plain))) parts.push(part);
  return Buffer.concat(parts);
}

/** The opposite. @throws as `decryptAge`. */
export async function decryptAgeBytes(stored: Uint8Array, identity: string, what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of decryptAge(once(stored), identity, what)) parts.push(part);
  return Buffer.concat(parts);
}

function lastChunk(payloadBytes: number): number {
  return Math.max(0, Math.ceil(payloadBytes / SEALED_CHUNK_BYTES) - 1);
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", fileKey, nonce, "payload", PAYLOAD_KEY_BYTES));
}

function chunkNonce(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(number, 5, 6); // 11 bytes big endian; 48 bits of 64 KiB are beyond any file
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** Offset just after the header's last line (`--- ` and its MAC), undefined while that line isn't complete. */
function findHeaderEnd(bytes: Buffer): number | undefined {
  const macLine = bytes.indexOf("\n--- ");
  if (macLine === -1) return undefined;
  const end = bytes.indexOf("\n", macLine + 1);
  return end === -1 ? undefined : end + 1;
}

async function openHeader(header: Uint8Array, identity: string, what: string): Promise<Uint8Array> {
  let noRecipientMatched = false;
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  decrypter.addIdentity({
    unwrapFileKey: () => {
      noRecipientMatched = true; // asked only after the identity above found no stanza of its own
      return null;
    },
  });
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (!noRecipientMatched) throw corrupt(what, "its age header is damaged", error);
    throw new TidemarkError("key_missing", `Cannot open "${what}": it is encrypted to another key`, {
      hint: "Use the master key of the platform that wrote this repository",
      cause: error,
    });
  }
}

function corrupt(what: string, how: string, cause?: unknown): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot read "${what}": ${how}`, {
    hint: "The stored bytes were changed or cut; use another backup and check the storage",
    cause,
  });
}

async function* resume(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
