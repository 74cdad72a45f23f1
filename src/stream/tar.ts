import { assert } from "../core/assert.ts";

/** Every header and every entry's data is a whole number of these. */
export const TAR_BLOCK_BYTES = 512;

export interface TarEntry {
  /** Path with `/`; a folder's is written with one at its end. ASCII; 100 bytes, or a folder path of 155 and a name of 100. */
  readonly path: string;
  readonly type: "file" | "folder";
  /** Of a file; 0 for a folder. */
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** Permission bits, 0o600 say. */
  readonly mode: number;
}

interface Field {
  readonly offset: number;
  readonly length: number;
}

/** POSIX.1-1988 "ustar" header. */
const FIELDS = {
  name: { offset: 0, length: 100 },
  mode: { offset: 100, length: 8 },
  uid: { offset: 108, length: 8 },
  gid: { offset: 116, length: 8 },
  size: { offset: 124, length: 12 },
  mtime: { offset: 136, length: 12 },
  checksum: { offset: 148, length: 8 },
  type: { offset: 156, length: 1 },
  magic: { offset: 257, length: 8 },
  prefix: { offset: 345, length: 155 },
} as const satisfies Record<string, Field>;

/** The largest size that 11 octal digits hold; above it, the size is in base-256 (first bit set), which GNU tar, bsdtar and libarchive read. */
const OCTAL_SIZE_MAX = 8 ** 11 - 1;

/** The 512 bytes before an entry's data. */
export function tarHeader(entry: TarEntry): Buffer {
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  const { prefix, name } = splitPath(entry.type === "folder" ? `${entry.path}/` : entry.path);
  putText(header, FIELDS.name, name);
  putText(header, FIELDS.prefix, prefix);
  putOctal(header, FIELDS.mode, entry.mode);
  putOctal(header, FIELDS.uid, 0);
  putOctal(header, FIELDS.gid, 0);
  putSize(header, entry.sizeBytes);
  putOctal(header, FIELDS.mtime, Math.floor(entry.modifiedAt.getTime() / 1000));
  putText(header, FIELDS.type, entry.type === "folder" ? "5" : "0");
  putText(header, FIELDS.magic, "ustar\x0000");
  putChecksum(header);
  return header;
}

/** What follows the data of the last entry: zeros to the end of its block, then the two empty blocks that end an archive. */
export function tarTrailer(lastSizeBytes: number): Buffer {
  const padding = (TAR_BLOCK_BYTES - (lastSizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
  return Buffer.alloc(padding + 2 * TAR_BLOCK_BYTES);
}

function splitPath(path: string): { prefix: string; name: string } {
  if (path.length <= FIELDS.name.length) return { prefix: "", name: path };
  const slash = path.lastIndexOf("/", path.length - 2);
  return { prefix: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}

function putText(header: Buffer, field: Field, text: string): void {
  assert(/^[\x00-\x7f]*$/.test(text) && text.length <= field.length, `"${text}" fits a tar header`); // oxlint-disable-line no-control-regex -- ASCII
  header.write(text, field.offset, "latin1");
}

function putOctal(header: Buffer, field: Field, value: number): void {
  const digits = value.toString(8).padStart(field.length - 1, "0");
  assert(Number.isSafeInteger(value) && value >= 0 && digits.length < field.length, `${value} fits a tar header`);
  header.write(`${digits}\0`, field.offset, "latin1");
}

function putSize(header: Buffer, sizeBytes: number): void {
  if (sizeBytes <= OCTAL_SIZE_MAX) {
    putOctal(header, FIELDS.size, sizeBytes);
    return;
  }
  header.writeBigUInt64BE(BigInt(sizeBytes), FIELDS.size.offset + FIELDS.size.length - 8);
  header[FIELDS.size.offset] = 0x80;
}

/** Sum of all bytes, the checksum's own taken as spaces: six octal digits, zero byte, space. */
function putChecksum(header: Buffer): void {
  header.fill(" ", FIELDS.checksum.offset, FIELDS.checksum.offset + FIELDS.checksum.length);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, FIELDS.checksum.offset, "latin1");
}
