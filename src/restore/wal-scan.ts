import { TidemarkError } from "../core/errors.ts";
import { type Lsn, advanceLsn, formatLsn, lsnDistance, segmentStart } from "../core/lsn.ts";
import { WalRecordReader } from "../postgres/wal/record-reader.ts";
import { type WalFact, type WalRecord, readWalFact } from "../postgres/wal/record.ts";
import type { SegmentIndex } from "../postgres/wal/segment-index.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { type Branch, type BranchSegment, walkBranch } from "./branch.ts";
import { readBranchSegment } from "./read-branch-segment.ts";
import { IndexReader } from "./segment-indexes.ts";

/** One record of stored WAL. */
export interface ScannedRecord {
  /** Of its start, from the start of the first segment that is scanned: a number, since every record is compared with something. */
  readonly offset: number;
  readonly record: WalRecord;
  /** What it tells; undefined for most. */
  readonly fact: WalFact | undefined;
}

/** A whole segment with its index. */
export interface IndexedSegment {
  readonly start: Lsn;
  readonly end: Lsn;
  readonly index: SegmentIndex;
}

export interface ScanVisitor {
  /** Called for each record in order; answers "stop" to end the reading. */
  readonly visit: (record: ScannedRecord) => "stop" | undefined;
  /** Asked for each segment that has an index: true when that is all the visitor needs, and its records needn't be read. */
  readonly pass?: ((segment: IndexedSegment) => boolean) | undefined;
}

export interface ScanRequest extends ScanVisitor {
  /** Any position; reading begins with the first record of its segment. */
  readonly from: Lsn;
  readonly signal?: AbortSignal | undefined;
}

/** An index doesn't fit the log around it: the log has to be read without any. */
export class IndexContradiction extends Error {}

/**
 * Reads a branch's stored WAL record by record, as far as it is stored without a hole; segments that the visitor passes by their index aren't read. Every
 * object's hash and every record's CRC are checked on the way, and that each record says where the one before it began. Memory: one chunk and one record.
 *
 * @returns where the last record read or passed ends
 * @throws `wal_invalid` when valid records end before the stored bytes do, `IndexContradiction`, and as `readSegment`
 */
export async function scanBranch(archive: PhysicalArchive, branch: Branch, request: ScanRequest): Promise<Lsn> {
  const scan = new BranchScan(archive, branch, request);
  const segments = [...walkBranch(branch, request.from)];
  const indexes = new IndexReader(archive, branch, request.pass === undefined ? [] : segments, request.signal);
  try {
    for (const segment of segments) {
      const index = await indexes.of(segment);
      if (index !== undefined && (await scan.passes(segment, index))) continue;
      if (!scan.isStopped) await scan.read(segment);
      if (scan.isStopped) break;
    }
  } finally {
    await indexes.close();
  }
  return scan.end;
}

/**
 * Calls `scan` with permission to use indexes, and once more without when one of them contradicts the log.
 *
 * @param scan begins anew each time
 */
export async function scanTrusting<Result>(scan: (mayPass: boolean) => Promise<Result>): Promise<Result> {
  try {
    return await scan(true);
  } catch (error) {
    if (!(error instanceof IndexContradiction)) throw error;
    return scan(false);
  }
}

class BranchScan {
  readonly #archive: PhysicalArchive;
  readonly #branch: Branch;
  readonly #request: ScanRequest;
  readonly #origin: Lsn;
  #reader: WalRecordReader | undefined;
  /** Where the reader began, from the origin. */
  #readerOffset = 0;
  /** Records that begin here or later are not this reader's to tell. */
  #limitOffset = Number.POSITIVE_INFINITY;
  #sawLimit = false;
  /** Offset of the start of the last record that was read or passed; undefined before the first. */
  #lastOffset: number | undefined;
  #isChecked = true;
  #endOffset = 0;
  isStopped = false;

  constructor(archive: PhysicalArchive, branch: Branch, request: ScanRequest) {
    this.#archive = archive;
    this.#branch = branch;
    this.#request = request;
    this.#origin = segmentStart(request.from, branch.segmentSize);
  }

  get end(): Lsn {
    return advanceLsn(this.#origin, this.#endOffset);
  }

  /** Whether a segment needn't be read. The record that reaches into it is read to its end first, which may end the scan. */
  async passes(segment: BranchSegment, index: SegmentIndex): Promise<boolean> {
    await this.#finishRecord(segment);
    if (this.isStopped) return false;
    const { records } = index;
    const end = advanceLsn(segment.start, segment.usableBytes);
    if (records !== undefined && !this.#isAfterLast(records.previous)) throw contradiction(segment);
    if (this.#request.pass?.({ start: segment.start, end, index }) !== true) return false;
    this.#reader = undefined;
    if (records === undefined) return true;
    this.#lastOffset = lsnDistance(this.#origin, records.last.start);
    this.#endOffset = lsnDistance(this.#origin, records.last.end);
    return true;
  }

  async read(segment: BranchSegment): Promise<void> {
    this.#limitOffset = Number.POSITIVE_INFINITY;
    await this.#push(segment, () => this.isStopped);
  }

  /** Ends at the first record that begins in `segment`, whose index tells of those. */
  async #finishRecord(segment: BranchSegment): Promise<void> {
    if (this.#reader?.isInRecord !== true) return;
    this.#limitOffset = lsnDistance(this.#origin, segment.start);
    this.#sawLimit = false;
    const isDone = (): boolean => this.isStopped || this.#sawLimit || this.#reader?.isInRecord !== true;
    for (const next of walkBranch(this.#branch, segment.start)) {
      await this.#push(next, isDone);
      if (isDone()) break;
    }
    // What was read of it was read for the record before; its own reading begins anew.
    this.#reader = undefined;
  }

  async #push(segment: BranchSegment, isDone: () => boolean): Promise<void> {
    const { signal } = this.#request;
    const reader = (this.#reader ??= this.#openReader(segment.start));
    for await (const chunk of readBranchSegment(this.#archive, this.#branch, segment, signal)) {
      signal?.throwIfAborted();
      reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      if (isDone()) return;
      if (reader.end !== undefined) throw endsEarly(this.#branch, reader.end.at, segment);
    }
  }

  #openReader(origin: Lsn): WalRecordReader {
    this.#readerOffset = lsnDistance(this.#origin, origin);
    this.#isChecked = false;
    return new WalRecordReader(origin, this.#branch.segmentSize, (record) => this.#visit(record));
  }

  #isAfterLast(previous: Lsn): boolean {
    return this.#lastOffset === undefined || lsnDistance(this.#origin, previous) === this.#lastOffset;
  }

  #visit(record: WalRecord): void {
    if (this.isStopped) return;
    const offset = this.#readerOffset + record.startOffset;
    if (offset >= this.#limitOffset) {
      this.#sawLimit = true;
      return;
    }
    // Within a reader its own check does.
    if (!this.#isChecked && !this.#isAfterLast(record.previous))
      throw new IndexContradiction(`The record at ${formatLsn(record.start)} doesn't follow the index before it`);
    this.#isChecked = true;
    this.#endOffset = this.#readerOffset + record.endOffset;
    this.#lastOffset = offset;
    this.isStopped = this.#request.visit({ offset, record, fact: readWalFact(record) }) === "stop";
  }
}

function contradiction({ name }: BranchSegment): IndexContradiction {
  return new IndexContradiction(`The index of segment "${name}" doesn't follow the record before it`);
}

function endsEarly(branch: Branch, at: Lsn, segment: BranchSegment): TidemarkError {
  const storedUntil = advanceLsn(segment.start, segment.usableBytes);
  return new TidemarkError(
    "wal_invalid",
    `Cannot read the stored write-ahead log of timeline ${branch.timeline}: valid records end at ${formatLsn(at)}, bytes are stored up to ${formatLsn(storedUntil)}`,
    { hint: `What was committed before ${formatLsn(at)} can be restored: give a time or a position before it` },
  );
}
