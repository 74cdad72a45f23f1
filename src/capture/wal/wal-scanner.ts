import { type Lsn, type WalSegmentSize, advanceLsn, segmentOffset, segmentStart } from "../../core/lsn.ts";
import { type WalEnd, WalRecordReader } from "../../postgres/wal/record-reader.ts";
import { readWalFact } from "../../postgres/wal/record.ts";
import { type SegmentIndex, SegmentIndexer } from "../../postgres/wal/segment-index.ts";
import type { Moment } from "./commit-tracker.ts";

export interface WalScannerEvents {
  readonly commit: (moment: Moment) => void;
  /** All records that begin in a segment have passed, and are valid. */
  readonly segment: (start: Lsn, index: SegmentIndex) => void;
  readonly unreadable: (end: WalEnd) => void;
}

/**
 * Reads commits from WAL as it passes, and makes an index of each segment. A segment that can't be read is passed over, so that one bad record doesn't blind
 * it for good.
 */
export class WalScanner {
  readonly #segmentSize: WalSegmentSize;
  readonly #events: WalScannerEvents;
  #reader: WalRecordReader | undefined;
  #skipUntil: Lsn | undefined;

  constructor(segmentSize: WalSegmentSize, events: WalScannerEvents) {
    this.#segmentSize = segmentSize;
    this.#events = events;
  }

  /** Begins anew at the next bytes, which must lie at a segment's start. */
  reset(): void {
    this.#reader = undefined;
    this.#skipUntil = undefined;
  }

  push(start: Lsn, bytes: Buffer): void {
    let at = start;
    let rest = bytes;
    if (this.#skipUntil !== undefined) {
      const skipped = Math.min(rest.length, Number(this.#skipUntil - at));
      rest = rest.subarray(skipped);
      at = advanceLsn(at, skipped);
      if (at < this.#skipUntil) return;
      this.#skipUntil = undefined;
    }
    if (rest.length === 0) return;
    const reader = (this.#reader ??= this.#open(at));
    if (reader.push(rest) || reader.end === undefined) return;
    this.#events.unreadable(reader.end);
    this.#reader = undefined;
    const end = advanceLsn(at, rest.length);
    const isAtBoundary = segmentOffset(end, this.#segmentSize) === 0;
    this.#skipUntil = isAtBoundary ? end : advanceLsn(segmentStart(end, this.#segmentSize), this.#segmentSize);
  }

  #open(origin: Lsn): WalRecordReader {
    const indexer = new SegmentIndexer(origin, this.#segmentSize, this.#events.segment);
    return new WalRecordReader(origin, this.#segmentSize, (record) => {
      const fact = readWalFact(record);
      if (fact?.kind === "transaction end" && fact.outcome.startsWith("commit"))
        this.#events.commit({ lsn: record.end, time: fact.time });
      indexer.take(record, fact);
    });
  }
}
