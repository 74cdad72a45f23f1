import { parsePosixZone, posixLocalTime } from "./posix-zone.ts";
import type { LocalTimeType, PosixZone } from "./posix-zone.ts";

/** A compiled time zone: a table of past changes, and a rule for the time after them. */
interface ZoneTable {
  readonly changes: readonly { readonly atSeconds: number; readonly type: LocalTimeType }[];
  readonly before: LocalTimeType;
  readonly after: PosixZone | undefined;
}

interface Counts {
  readonly isUt: number;
  readonly isStandard: number;
  readonly leap: number;
  readonly time: number;
  readonly type: number;
  readonly char: number;
}

/** Layout: RFC 9636, section 3. */
const HEADER_BYTES = 44;
const COUNTS_OFFSET = 20;
const TYPE_BYTES = 6;

/**
 * Reads a compiled time zone ("TZif"), as /usr/share/zoneinfo holds them, of any version.
 * Undefined for bytes that are not one.
 */
export function parseTimeZoneFile(bytes: Buffer): ((instantSeconds: number) => LocalTimeType) | undefined {
  try {
    const table = parseTable(bytes);
    return table === undefined ? undefined : (instantSeconds) => localTime(table, instantSeconds);
  } catch (error) {
    // Reading past the end: a truncated file is none.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function parseTable(bytes: Buffer): ZoneTable | undefined {
  const first = readCounts(bytes, 0);
  if (first === undefined) return undefined;
  // Version 1 counts in 32 bits. Later versions repeat everything in 64 bits behind that block.
  if (bytes[4] === 0) return readBlock(bytes, { counts: first, start: HEADER_BYTES, timeBytes: 4 });
  const secondHeader = HEADER_BYTES + blockBytes(first, 4);
  const second = readCounts(bytes, secondHeader);
  if (second === undefined) return undefined;
  return readBlock(bytes, { counts: second, start: secondHeader + HEADER_BYTES, timeBytes: 8 });
}

function readCounts(bytes: Buffer, header: number): Counts | undefined {
  if (bytes.toString("latin1", header, header + 4) !== "TZif") return undefined;
  const count = (index: number): number => bytes.readUInt32BE(header + COUNTS_OFFSET + index * 4);
  return { isUt: count(0), isStandard: count(1), leap: count(2), time: count(3), type: count(4), char: count(5) };
}

function blockBytes(counts: Counts, timeBytes: number): number {
  return (
    counts.time * (timeBytes + 1) +
    counts.type * TYPE_BYTES +
    counts.char +
    counts.leap * (timeBytes + 4) +
    counts.isStandard +
    counts.isUt
  );
}

function readBlock(
  bytes: Buffer,
  { counts, start, timeBytes }: { counts: Counts; start: number; timeBytes: 4 | 8 },
): ZoneTable | undefined {
  const indexes = start + counts.time * timeBytes;
  const types = indexes + counts.time;
  const names = types + counts.type * TYPE_BYTES;
  const readType = (index: number): LocalTimeType => {
    const at = types + index * TYPE_BYTES;
    const nameStart = names + bytes.readUInt8(at + 5);
    const abbreviation = bytes.toString("latin1", nameStart, bytes.indexOf(0, nameStart));
    return { offsetSeconds: bytes.readInt32BE(at), abbreviation };
  };
  const changes = Array.from({ length: Math.min(counts.time, bytes.length) }, (_, index) => ({
    atSeconds: timeBytes === 8 ? Number(bytes.readBigInt64BE(start + index * 8)) : bytes.readInt32BE(start + index * 4),
    type: readType(bytes.readUInt8(indexes + index)),
  }));
  const footer = timeBytes === 8 ? bytes.toString("latin1", start + blockBytes(counts, 8)).trim() : "";
  return { changes, before: readType(0), after: parsePosixZone(footer) };
}

function localTime({ changes, before, after }: ZoneTable, instantSeconds: number): LocalTimeType {
  const last = changes.at(-1);
  if (after !== undefined && (last === undefined || instantSeconds >= last.atSeconds)) {
    return posixLocalTime(after, instantSeconds);
  }
  return changes.findLast(({ atSeconds }) => atSeconds <= instantSeconds)?.type ?? before;
}
