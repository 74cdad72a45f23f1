import { TidemarkError } from "../core/errors.ts";

export const TAR_BLOCK_BYTES = 512;
/** Where fields lie in a ustar header; https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html */
const NAME = { at: 0, bytes: 100 };
const MODE = { at: 100, bytes: 8 };
const SIZE = { at: 124, bytes: 12 };
const CHECKSUM = { at: 148, bytes: 8 };
const TYPE_AT = 156;
const LINK_NAME = { at: 157, bytes: 100 };
const PREFIX = { at: 345, bytes: 155 };

export type TarEntryType = "file" | "folder" | "link";

export interface TarEntry {
  /** As PostgreSQL names it; the bytes need not be UTF-8, and there is no trailing slash. */
  readonly path: Buffer;
  readonly type: TarEntryType;
  readonly sizeBytes: number;
  /** Permission bits. */
  readonly mode: number;
  /** Of a symbolic link. */
  readonly linkTarget: string | undefined;
  /** The entry's 512 bytes as they came. */
  readonly header: Buffer;
}

export interface TarSink {
  entry(entry: TarEntry): void;
  /** The next bytes of the entry that came last; a view of what was pushed. */
  data(bytes: Buffer): void;
  /** All bytes of the entry have come. */
  end(): void;
}

/** Splits a tar archive that arrives in pieces into its entries. Holds one header at most. */
export class TarSplitter {
  readonly #sink: TarSink;
  readonly #header = Buffer.alloc(TAR_BLOCK_BYTES);
  #headerLength = 0;
  #dataLeft = 0;
  #paddingLeft = 0;
  #isOver = false;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** @throws `base_backup_failed` for a header whose checksum or fields are wrong */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#isOver) {
      const left = bytes.length - at;
      if (this.#dataLeft > 0) {
        const length = Math.min(this.#dataLeft, left);
        this.#sink.data(bytes.subarray(at, at + length));
        this.#dataLeft -= length;
        at += length;
        if (this.#dataLeft === 0) this.#sink.end();
      } else if (this.#paddingLeft > 0) {
        const length = Math.min(this.#paddingLeft, left);
        this.#paddingLeft -= length;
        at += length;
      } else {
        const length = Math.min(TAR_BLOCK_BYTES - this.#headerLength, left);
        bytes.copy(this.#header, this.#headerLength, at, at + length);
        this.#headerLength += length;
        at += length;
        if (this.#headerLength === TAR_BLOCK_BYTES) this.#open();
      }
    }
  }

  /** @throws `base_backup_failed` when the archive ends inside an entry */
  finish(): void {
    if (this.#dataLeft > 0 || this.#headerLength > 0) throw broken("it ends inside a file");
  }

  #open(): void {
    this.#headerLength = 0;
    const header = Buffer.from(this.#header);
    if (header.every((byte) => byte === 0)) {
      this.#isOver = true;
      return;
    }
    const entry = parseTarHeader(header);
    this.#dataLeft = entry.sizeBytes;
    this.#paddingLeft = tarPadding(entry.sizeBytes);
    this.#sink.entry(entry);
    if (entry.sizeBytes === 0) this.#sink.end();
  }
}

/** Zero bytes that fill an entry's last block. */
export function tarPadding(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

/** @throws `base_backup_failed` when it is no header, or one of a kind that PostgreSQL doesn't send */
export function parseTarHeader(header: Buffer): TarEntry {
  if (readOctal(header, CHECKSUM) !== headerChecksum(header)) throw broken("a header's checksum is wrong");
  const prefix = cString(header, PREFIX);
  const name = cString(header, NAME);
  const full = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]);
  const type = entryType(header[TYPE_AT]);
  return {
    path: withoutTrailingSlash(full),
    type,
    sizeBytes: type === "file" ? readSize(header) : 0,
    mode: readOctal(header, MODE) & 0o7777,
    linkTarget: type === "link" ? cString(header, LINK_NAME).toString("utf8") : undefined,
    header,
  };
}

/**
 * A copy of a header with another name.
 *
 * @param name at most 100 bytes
 */
export function renameTarHeader(header: Buffer, name: string): Buffer {
  const renamed = Buffer.from(header);
  renamed.fill(0, NAME.at, NAME.at + NAME.bytes);
  renamed.fill(0, PREFIX.at, PREFIX.at + PREFIX.bytes);
  renamed.write(name, NAME.at, NAME.bytes, "utf8");
  renamed.write(`${headerChecksum(renamed).toString(8).padStart(6, "0")}\0 `, CHECKSUM.at, CHECKSUM.bytes, "latin1");
  return renamed;
}

function entryType(flag: number | undefined): TarEntryType {
  if (flag === 0x30 || flag === 0) return "file";
  if (flag === 0x35) return "folder";
  if (flag === 0x32) return "link";
  throw broken(`it has an entry of unknown type "${flag}"`);
}

/** The sum of all bytes, its own field counted as spaces. */
function headerChecksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < TAR_BLOCK_BYTES; at++) {
    const isOwnField = at >= CHECKSUM.at && at < CHECKSUM.at + CHECKSUM.bytes;
    sum += isOwnField ? 0x20 : (header[at] ?? 0);
  }
  return sum;
}

/** Octal digits; from 8 GiB on base 256, which the first bit tells. */
function readSize(header: Buffer): number {
  if (((header[SIZE.at] ?? 0) & 0x80) === 0) return readOctal(header, SIZE);
  const size = header.readBigUInt64BE(SIZE.at + 4);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw broken("a file's size is beyond all bounds");
  return Number(size);
}

function readOctal(header: Buffer, field: { at: number; bytes: number }): number {
  const text = header
    .toString("latin1", field.at, field.at + field.bytes)
    .replaceAll("\0", " ")
    .trim();
  if (!/^[0-7]*$/.test(text)) throw broken("a header has a number that is none");
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function cString(header: Buffer, field: { at: number; bytes: number }): Buffer {
  const bytes = header.subarray(field.at, field.at + field.bytes);
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function withoutTrailingSlash(path: Buffer): Buffer {
  return path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
}

function broken(how: string): TidemarkError {
  return new TidemarkError("base_backup_failed", `Cannot read the server's archive: ${how}`);
}
