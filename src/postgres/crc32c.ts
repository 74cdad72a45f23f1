import { crc32c as nativeCrc32c } from "@node-rs/crc32";

/** Below this a call into native code costs more than the table does (measured: about 250 ns a call, 1.6 ns a byte). */
const NATIVE_MIN_BYTES = 128;
/** Castagnoli's polynomial, bits reversed: PostgreSQL's CRC, and not that of zlib. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = makeTable();

/**
 * CRC-32C, as PostgreSQL uses it in WAL records, pg_control and backup manifests.
 *
 * @param bytes the next bytes
 * @param previous the value for all bytes before; 0 at the beginning
 * @returns the value so far, 0 to 2^32 - 1
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return bytes.length < NATIVE_MIN_BYTES ? tableCrc32c(bytes, previous) : nativeCrc32c(asBuffer(bytes), previous);
}

/** The same of a part of the bytes, without a view of its own for a short one. */
export function crc32cRange(bytes: Buffer, from: number, to: number, previous: number): number {
  return to - from < NATIVE_MIN_BYTES
    ? tableCrc32c(bytes, previous, from, to)
    : nativeCrc32c(bytes.subarray(from, to), previous);
}

/** The same in JavaScript alone. Exported for its test. */
export function tableCrc32c(bytes: Uint8Array, previous: number, from = 0, to = bytes.length): number {
  let crc = ~previous;
  for (let at = from; at < to; at++) crc = (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function makeTable(): Int32Array {
  const table = new Int32Array(256);
  for (let index = 0; index < 256; index++) {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    table[index] = value;
  }
  return table;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
