import { TidemarkError } from "./errors.ts";

/** A position in the write-ahead log: bytes since the log's beginning, 64 bits. Compare with `<`, `>`, `===`. */
export type Lsn = bigint & { readonly brand: "Lsn" };
/** A PostgreSQL timeline, 1 to 2^32 - 1. */
export type TimelineId = number & { readonly brand: "TimelineId" };
/** 24 upper-case hex digits: timeline, then the segment's number in two parts, as PostgreSQL names files of pg_wal. */
export type SegmentName = string & { readonly brand: "SegmentName" };
/** Bytes in a WAL segment of one cluster: a power of two from 1 MiB to 1 GiB, fixed by initdb. */
export type WalSegmentSize = number & { readonly brand: "WalSegmentSize" };

export const LSN_ZERO = 0n as Lsn; // brand
export const WAL_SEGMENT_SIZE_DEFAULT = (16 * 1024 * 1024) as WalSegmentSize; // brand

const LSN_MAX = 2n ** 64n - 1n;
const TIMELINE_MAX = 2 ** 32 - 1;
const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;
const SEGMENT_TEXT = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;
const HISTORY_TEXT = /^([0-9A-F]{8})\.history$/;
const MIB = 1024 * 1024;

/**
 * Reads PostgreSQL's text form.
 *
 * @param text `XXXXXXXX/XXXXXXXX`, hex in either case, leading zeros optional
 * @returns the position
 * @throws `bad_request` for any other text
 */
export function parseLsn(text: string): Lsn {
  const match = LSN_TEXT.exec(text);
  if (match === null)
    throw new TidemarkError("bad_request", `Cannot read LSN "${text}": it isn't two hex numbers with a slash between`, {
      hint: 'Write it as PostgreSQL prints it, for example "0/16B3748"',
    });
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn; // brand: both halves have at most 32 bits
}

/** PostgreSQL's text form: two hex numbers without leading zeros, upper case. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/**
 * Checks a number of the wire or of a file.
 *
 * @throws `bad_request` when it is negative or has more than 64 bits
 */
export function toLsn(value: bigint): Lsn {
  if (value < 0n || value > LSN_MAX) throw new TidemarkError("bad_request", `"${value}" is no LSN: it needs 64 bits`);
  return value as Lsn; // brand: checked above
}

/** The position `bytes` later; negative goes back. */
export function advanceLsn(lsn: Lsn, bytes: number): Lsn {
  return toLsn(lsn + BigInt(bytes));
}

/** Bytes from `from` to `to`; negative when `to` is earlier. Exact below 2^53, which no log reaches between two points of interest. */
export function lsnDistance(from: Lsn, to: Lsn): number {
  return Number(to - from);
}

export function minLsn(first: Lsn, second: Lsn): Lsn {
  return first < second ? first : second;
}

/** @throws `bad_request` for anything but an integer from 1 to 2^32 - 1 */
export function toTimelineId(value: number): TimelineId {
  if (!Number.isInteger(value) || value < 1 || value > TIMELINE_MAX)
    throw new TidemarkError(
      "bad_request",
      `"${value}" is no timeline: it must be a whole number from 1 to ${TIMELINE_MAX}`,
    );
  return value as TimelineId; // brand: checked above
}

/** Eight upper-case hex digits, as in file names. */
export function formatTimelineId(timeline: TimelineId): string {
  return timeline.toString(16).toUpperCase().padStart(8, "0");
}

/** @throws `bad_request` unless the text is eight hex digits that name a timeline */
export function parseTimelineId(text: string): TimelineId {
  if (!/^[0-9A-Fa-f]{8}$/.test(text))
    throw new TidemarkError("bad_request", `"${text}" is no timeline of eight hex digits`);
  return toTimelineId(Number.parseInt(text, 16));
}

/** @throws `bad_request` unless it is a power of two from 1 MiB to 1 GiB */
export function toWalSegmentSize(sizeBytes: number): WalSegmentSize {
  const isPowerOfTwo = Number.isInteger(Math.log2(sizeBytes));
  if (!isPowerOfTwo || sizeBytes < MIB || sizeBytes > 1024 * MIB)
    throw new TidemarkError(
      "bad_request",
      `"${sizeBytes}" is no WAL segment size: it must be a power of two from 1 MiB to 1 GiB`,
    );
  return sizeBytes as WalSegmentSize; // brand: checked above
}

/** First position of the segment that holds `lsn`. */
export function segmentStart(lsn: Lsn, segmentSize: WalSegmentSize): Lsn {
  return (lsn - (lsn % BigInt(segmentSize))) as Lsn; // brand: not below 0, not above lsn
}

/** Where `lsn` lies in its segment: 0 to segment size - 1. */
export function segmentOffset(lsn: Lsn, segmentSize: WalSegmentSize): number {
  return Number(lsn % BigInt(segmentSize));
}

/** Name of the file of pg_wal that holds the byte at `lsn`. */
export function segmentName(timeline: TimelineId, lsn: Lsn, segmentSize: WalSegmentSize): SegmentName {
  const number = lsn / BigInt(segmentSize);
  const perLogId = 0x100000000n / BigInt(segmentSize);
  const hex = (part: bigint): string => part.toString(16).toUpperCase().padStart(8, "0");
  return `${formatTimelineId(timeline)}${hex(number / perLogId)}${hex(number % perLogId)}` as SegmentName; // brand
}

export interface SegmentPlace {
  readonly timeline: TimelineId;
  /** The segment's first position. */
  readonly start: Lsn;
}

/**
 * Reads a segment's file name.
 *
 * @param name 24 upper-case hex digits
 * @param segmentSize of the cluster that wrote it; the name alone doesn't tell
 * @throws `bad_request` when it is no such name, or one that this segment size can't make
 */
export function parseSegmentName(name: string, segmentSize: WalSegmentSize): SegmentPlace {
  const match = SEGMENT_TEXT.exec(name);
  if (match === null) throw new TidemarkError("bad_request", `"${name}" is no WAL segment's name`);
  const perLogId = 0x100000000n / BigInt(segmentSize);
  const low = BigInt(`0x${match[3]}`);
  if (low >= perLogId)
    throw new TidemarkError(
      "bad_request",
      `"${name}" is no WAL segment's name where segments have ${segmentSize} bytes`,
    );
  const number = BigInt(`0x${match[2]}`) * perLogId + low;
  return { timeline: parseTimelineId(match[1] ?? ""), start: toLsn(number * BigInt(segmentSize)) };
}

export function isSegmentName(text: string): text is SegmentName {
  return SEGMENT_TEXT.test(text);
}

/** Name of a timeline's history file, `00000002.history`. Timeline 1 has none. */
export function historyFileName(timeline: TimelineId): string {
  return `${formatTimelineId(timeline)}.history`;
}

/** The timeline of a history file's name, undefined for any other name. */
export function parseHistoryFileName(name: string): TimelineId | undefined {
  const match = HISTORY_TEXT.exec(name);
  return match === null ? undefined : parseTimelineId(match[1] ?? "");
}
