import { TidemarkError } from "../../core/errors.ts";
import { type Lsn, type WalSegmentSize, advanceLsn, formatLsn, segmentOffset, toLsn } from "../../core/lsn.ts";
import { crc32c, crc32cRange } from "../crc32c.ts";
import { RECORD_HEADER_BYTES, type WalRecord, hasFacts, isSegmentSwitch } from "./record.ts";

const PAGE_BYTES = 8192;
const SHORT_PAGE_HEADER_BYTES = 24;
/** The first page of a segment has more. */
const LONG_PAGE_HEADER_BYTES = 40;
const PAGE_IS_CONTINUATION = 0x01;
const PAGE_IS_LONG = 0x02;
const PAGE_OVERWRITES_CONTINUATION = 0x08;
/** All of D110 (15) to D118 (18) and what may follow. */
const PAGE_MAGIC_MIN = 0xd110;
const PAGE_MAGIC_MAX = 0xd1ff;
/** XLogRecordMaxSize is 1020 MiB; what claims more is no record. */
const RECORD_BYTES_MAX = 1024 * 1024 * 1024;
/** A commit record with a quarter of a million subtransactions; longer bodies are checked but not kept. */
const KEPT_BODY_BYTES_MAX = 1024 * 1024;
const NOTHING = Buffer.alloc(0);
/** The CRC comes last in a header, and is counted over what is before it after the body. */
const HEADER_CRC_AT = 20;
const HALF_LSN = 2 ** 32;

/** Why the reader found no further record. All are normal at the end of a log, none inside it. */
export type WalEndReason = "no page" | "no record" | "wrong checksum" | "wrong previous record" | "broken continuation";

export interface WalEnd {
  readonly at: Lsn;
  readonly reason: WalEndReason;
}

/**
 * Reads records from a log that arrives in pieces cut anywhere. Holds one record at most, and of that one at most 1 MiB. Every record's CRC and its
 * pointer to the record before are checked; the first that is wrong is where the valid log ends, and nothing after it is read.
 */
export class WalRecordReader {
  readonly #segmentSize: WalSegmentSize;
  readonly #origin: Lsn;
  readonly #originNumber: number;
  readonly #originInSegment: number;
  readonly #visit: (record: WalRecord) => void;

  /** Bytes read since the origin. */
  #position = 0;
  #pageHeader = Buffer.alloc(LONG_PAGE_HEADER_BYTES);
  #pageHeaderLength = 0;
  #pageMagic = 0;
  /** Bytes of the page's body to pass over: the rest of a record that began before the origin, or padding. */
  #skipBytes = 0;
  #skipToSegmentEnd = false;

  #header = Buffer.alloc(RECORD_HEADER_BYTES);
  #headerLength = 0;
  #recordStart = 0;
  #recordMagic = 0;
  #recordLength = 0;
  #bodyLength = 0;
  #bodyCrc = 0;
  #body: Buffer = NOTHING;
  #keptLength = 0;

  #lastStart = -1;
  #validEnd = 0;
  #end: WalEnd | undefined;

  /**
   * @param origin where the first byte lies: the start of a page, normally of a segment
   * @param segmentSize of the cluster
   * @param visit called for each valid record, in order
   * @throws `bad_request` when the origin is no page's start
   */
  constructor(origin: Lsn, segmentSize: WalSegmentSize, visit: (record: WalRecord) => void) {
    if (origin % BigInt(PAGE_BYTES) !== 0n)
      throw new TidemarkError("bad_request", `Cannot read WAL from ${formatLsn(origin)}: no page starts there`);
    this.#origin = origin;
    this.#originNumber = Number(origin);
    this.#originInSegment = segmentOffset(origin, segmentSize);
    this.#segmentSize = segmentSize;
    this.#visit = visit;
  }

  /** Where the last valid record ends (a multiple of 8), or the origin. */
  get validEnd(): Lsn {
    return advanceLsn(this.#origin, this.#validEnd);
  }

  /** Whether a record has begun whose end hasn't come yet. */
  get isInRecord(): boolean {
    return this.#headerLength > 0;
  }

  /** Set once something was met that is no valid log; never unset. */
  get end(): WalEnd | undefined {
    return this.#end;
  }

  /**
   * @param bytes what follows directly after everything pushed before
   * @returns false once the log has ended; further bytes are ignored
   */
  push(bytes: Buffer): boolean {
    let offset = 0;
    while (offset < bytes.length && this.#end === undefined) {
      const inPage = this.#position % PAGE_BYTES;
      if (inPage === 0 || this.#pageHeaderLength > 0) offset = this.#takePageHeader(bytes, offset);
      else offset = this.#takePageBody(bytes, offset, PAGE_BYTES - inPage);
    }
    return this.#end === undefined;
  }

  #takePageHeader(bytes: Buffer, offset: number): number {
    const isFirst = this.#inSegment(this.#position - this.#pageHeaderLength) === 0;
    const wanted = isFirst ? LONG_PAGE_HEADER_BYTES : SHORT_PAGE_HEADER_BYTES;
    const length = Math.min(wanted - this.#pageHeaderLength, bytes.length - offset);
    bytes.copy(this.#pageHeader, this.#pageHeaderLength, offset, offset + length);
    this.#pageHeaderLength += length;
    this.#position += length;
    if (this.#pageHeaderLength === wanted) {
      this.#pageHeaderLength = 0;
      this.#openPage(isFirst);
    }
    return offset + length;
  }

  /** src/include/access/xlog_internal.h, XLogPageHeaderData */
  #openPage(isFirst: boolean): void {
    // After a segment switch the rest is zeros, page headers included.
    if (this.#skipToSegmentEnd && !isFirst) return;
    this.#skipToSegmentEnd = false;
    const magic = this.#pageHeader.readUInt16LE(0);
    const flags = this.#pageHeader.readUInt16LE(2);
    const address = this.#pageHeader.readBigUInt64LE(8);
    const remaining = this.#pageHeader.readUInt32LE(16);
    const start = this.#position - (isFirst ? LONG_PAGE_HEADER_BYTES : SHORT_PAGE_HEADER_BYTES);
    const isLong = (flags & PAGE_IS_LONG) !== 0;
    const isValid = magic >= PAGE_MAGIC_MIN && magic <= PAGE_MAGIC_MAX && isLong === isFirst;
    if (!isValid || address !== this.#origin + BigInt(start)) return this.#stop("no page");
    this.#pageMagic = magic;
    const isContinuation = (flags & PAGE_IS_CONTINUATION) !== 0;
    if ((flags & PAGE_OVERWRITES_CONTINUATION) !== 0) this.#dropRecord();
    if (this.#headerLength > 0) {
      const missing = this.#recordLength === 0 ? undefined : this.#recordLength - this.#headerLength - this.#bodyLength;
      if (!isContinuation || (missing !== undefined && remaining !== missing)) this.#stop("broken continuation");
    } else if (isContinuation) this.#skipBytes = aligned(remaining);
    else this.#skipBytes = 0;
  }

  #takePageBody(bytes: Buffer, offset: number, leftInPage: number): number {
    const available = Math.min(leftInPage, bytes.length - offset);
    if (this.#skipToSegmentEnd) return this.#advance(offset, available);
    if (this.#skipBytes > 0) {
      const length = Math.min(this.#skipBytes, available);
      this.#skipBytes -= length;
      return this.#advance(offset, length);
    }
    if (this.#headerLength === 0) {
      const next = this.#takeWholeRecords(bytes, offset, offset + available);
      if (next > offset || this.#end !== undefined) return next;
    }
    if (this.#headerLength < RECORD_HEADER_BYTES) return this.#takeRecordHeader(bytes, offset, available);
    const length = Math.min(this.#recordLength - RECORD_HEADER_BYTES - this.#bodyLength, available);
    this.#takeBody(bytes.subarray(offset, offset + length));
    const next = this.#advance(offset, length);
    this.#finishRecordIfWhole();
    return next;
  }

  /**
   * Most records lie in one page and came in one piece: they are read where they are, without a copy or a big number. Stops before the first that doesn't,
   * and before a segment switch.
   */
  #takeWholeRecords(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (to - at >= RECORD_HEADER_BYTES) {
      const length = bytes.readUInt32LE(at);
      const info = bytes[at + 16] ?? 0;
      const rmgr = bytes[at + 17] ?? 0;
      if (length < RECORD_HEADER_BYTES || length > to - at || isSegmentSwitch(rmgr, info)) break;
      const previous = bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12) * HALF_LSN;
      if (this.#lastStart >= 0 && !this.#isAt(previous, this.#lastStart)) break;
      const bodyCrc = crc32cRange(bytes, at + RECORD_HEADER_BYTES, at + length, 0);
      if (crc32cRange(bytes, at, at + HEADER_CRC_AT, bodyCrc) !== bytes.readUInt32LE(at + HEADER_CRC_AT)) break;
      const start = this.#position;
      this.#position += length;
      this.#lastStart = start;
      this.#validEnd = aligned(this.#position);
      // A limit as elsewhere: who keeps bodies must not be made to keep pages of them.
      const isKept = hasFacts(rmgr, info) && length - RECORD_HEADER_BYTES <= KEPT_BODY_BYTES_MAX;
      this.#visit(
        new ReadRecord(this.#origin, {
          startOffset: start,
          endOffset: this.#validEnd,
          previousLsn: previous,
          info,
          rmgr,
          xid: bytes.readUInt32LE(at + 4),
          pageMagic: this.#pageMagic,
          body: isKept ? bytes.subarray(at + RECORD_HEADER_BYTES, at + length) : NOTHING,
        }),
      );
      const padding = this.#validEnd - this.#position;
      const passed = Math.min(padding, to - at - length);
      this.#position += passed;
      at += length + passed;
      this.#skipBytes = padding - passed;
      if (this.#skipBytes > 0) break;
    }
    return at;
  }

  /** Whether a position, exact below 2^53, is so many bytes after the origin. */
  #isAt(lsn: number, offset: number): boolean {
    return Number.isSafeInteger(lsn) ? lsn - this.#originNumber === offset : false;
  }

  #takeRecordHeader(bytes: Buffer, offset: number, available: number): number {
    if (this.#headerLength === 0) {
      this.#recordStart = this.#position;
      this.#recordMagic = this.#pageMagic;
      this.#recordLength = 0;
      this.#bodyLength = 0;
    }
    const length = Math.min(RECORD_HEADER_BYTES - this.#headerLength, available);
    bytes.copy(this.#header, this.#headerLength, offset, offset + length);
    this.#headerLength += length;
    const next = this.#advance(offset, length);
    // Records begin at multiples of 8, so the length never crosses a page.
    if (this.#recordLength === 0 && this.#headerLength >= 4) this.#recordLength = this.#header.readUInt32LE(0);
    if (this.#headerLength >= 4 && !this.#hasPlausibleLength()) this.#stop("no record");
    else if (this.#headerLength === RECORD_HEADER_BYTES) this.#beginBody();
    return next;
  }

  #hasPlausibleLength(): boolean {
    return this.#recordLength >= RECORD_HEADER_BYTES && this.#recordLength <= RECORD_BYTES_MAX;
  }

  #beginBody(): void {
    const previous = this.#header.readBigUInt64LE(8);
    if (this.#lastStart >= 0 && previous !== this.#origin + BigInt(this.#lastStart))
      return this.#stop("wrong previous record");
    const bodyBytes = this.#recordLength - RECORD_HEADER_BYTES;
    this.#bodyCrc = 0;
    this.#keptLength = 0;
    // Grown as bytes arrive, since the length is not proven before the CRC is.
    this.#body = NOTHING;
    if (bodyBytes === 0) this.#finishRecordIfWhole();
  }

  #takeBody(part: Buffer): void {
    this.#bodyCrc = crc32c(part, this.#bodyCrc);
    this.#bodyLength += part.length;
    if (!hasFacts(this.#header.readUInt8(17), this.#header.readUInt8(16))) return;
    const isWhole = part.length === this.#recordLength - RECORD_HEADER_BYTES;
    if (isWhole && part.length <= KEPT_BODY_BYTES_MAX) this.#body = part;
    else this.#keep(part.subarray(0, KEPT_BODY_BYTES_MAX - this.#keptLength));
    this.#keptLength = this.#body.length;
  }

  #keep(part: Buffer): void {
    if (part.length > 0) this.#body = Buffer.concat([this.#body, part]);
  }

  #finishRecordIfWhole(): void {
    if (this.#bodyLength < this.#recordLength - RECORD_HEADER_BYTES) return;
    const crc = crc32c(this.#header.subarray(0, 20), this.#bodyCrc);
    if (crc !== this.#header.readUInt32LE(20)) return this.#stop("wrong checksum");
    const info = this.#header.readUInt8(16);
    const rmgr = this.#header.readUInt8(17);
    this.#skipBytes = aligned(this.#position) - this.#position;
    this.#skipToSegmentEnd = isSegmentSwitch(rmgr, info);
    this.#validEnd = this.#skipToSegmentEnd ? this.#segmentEnd() : aligned(this.#position);
    const record = new ReadRecord(this.#origin, {
      startOffset: this.#recordStart,
      endOffset: this.#validEnd,
      previousLsn: this.#header.readBigUInt64LE(8),
      info,
      rmgr,
      xid: this.#header.readUInt32LE(4),
      pageMagic: this.#recordMagic,
      body: this.#body,
    });
    this.#lastStart = this.#recordStart;
    this.#headerLength = 0;
    this.#body = NOTHING;
    this.#visit(record);
  }

  /** The rest of this record was never written: a crashed server began anew here. */
  #dropRecord(): void {
    this.#headerLength = 0;
    this.#body = NOTHING;
    this.#skipBytes = 0;
    this.#lastStart = -1;
  }

  #stop(reason: WalEndReason): void {
    this.#end = { at: advanceLsn(this.#origin, this.#validEnd), reason };
    this.#body = NOTHING;
  }

  #advance(offset: number, length: number): number {
    this.#position += length;
    return offset + length;
  }

  #inSegment(position: number): number {
    return (this.#originInSegment + position) % this.#segmentSize;
  }

  #segmentEnd(): number {
    const inSegment = this.#inSegment(this.#position);
    return inSegment === 0 ? this.#position : this.#position + this.#segmentSize - inSegment;
  }
}

interface RecordFields extends Pick<
  WalRecord,
  "info" | "rmgr" | "xid" | "pageMagic" | "body" | "startOffset" | "endOffset"
> {
  readonly previousLsn: number | bigint;
}

/** Positions are made when they are asked for: a log has millions of records, and few are looked at. */
class ReadRecord implements WalRecord {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly info: number;
  readonly rmgr: number;
  readonly xid: number;
  readonly pageMagic: number;
  readonly body: Buffer;
  readonly #origin: Lsn;
  readonly #previous: number | bigint;

  constructor(origin: Lsn, fields: RecordFields) {
    this.#origin = origin;
    this.#previous = fields.previousLsn;
    this.startOffset = fields.startOffset;
    this.endOffset = fields.endOffset;
    this.info = fields.info;
    this.rmgr = fields.rmgr;
    this.xid = fields.xid;
    this.pageMagic = fields.pageMagic;
    this.body = fields.body;
  }

  get start(): Lsn {
    return advanceLsn(this.#origin, this.startOffset);
  }

  get end(): Lsn {
    return advanceLsn(this.#origin, this.endOffset);
  }

  get previous(): Lsn {
    return toLsn(BigInt(this.#previous));
  }
}

/** PostgreSQL's MAXALIGN. */
function aligned(value: number): number {
  return Math.ceil(value / 8) * 8;
}
