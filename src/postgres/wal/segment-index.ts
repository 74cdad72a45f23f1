import { type Lsn, type WalSegmentSize, advanceLsn, segmentOffset } from "../../core/lsn.ts";
import type { TimestampUs } from "../../core/timestamp.ts";
import type {
  ParametersChanged,
  RestorePoint,
  TablespaceCreated,
  TransactionEnd,
  TransactionPrepared,
  WalFact,
  WalRecord,
} from "./record.ts";

/** One record's place. */
export interface RecordPlace {
  readonly start: Lsn;
  /** Where the next record may begin. */
  readonly end: Lsn;
}

/** Transactions that end in a segment, taken together. */
export interface IndexedTransactions {
  /** The latest stamp of an end or a preparation: stamps are not in the order of the log. */
  readonly lastTime: TimestampUs;
  /** The latest stamp of an end; undefined when there are preparations only. */
  readonly lastEndTime: TimestampUs | undefined;
  /** The last end or preparation in the order of the log. */
  readonly last: RecordPlace;
  readonly lastCommit: TransactionEnd | undefined;
  /** Of the ended ones, as numbers; undefined when none ended or one is unknown. */
  readonly xids: { readonly lowest: number; readonly highest: number } | undefined;
}

/** What replay meets in one whole segment, in so few words that nobody needs to read its records who isn't looking for one of them. */
export interface SegmentIndex {
  /** The first and the last record that begin in it; undefined when none does. The last one may end in a later segment. */
  readonly records: { readonly first: Lsn; readonly previous: Lsn; readonly last: RecordPlace } | undefined;
  readonly transactions: IndexedTransactions | undefined;
  readonly tablespaces: readonly TablespaceCreated[];
  readonly parameters: readonly ParametersChanged[];
  readonly restorePoints: readonly RestorePoint[];
  /** Prepared here and not ended here. */
  readonly prepared: readonly TransactionPrepared[];
  /** Xids of prepared transactions that end here and were not prepared here. */
  readonly endedPrepared: readonly number[];
}

/**
 * Makes an index of each segment from all its records in order. A segment's index is ready when a record of a later segment comes: its last record may end
 * there.
 */
export class SegmentIndexer {
  readonly #origin: Lsn;
  readonly #segmentSize: WalSegmentSize;
  readonly #onIndex: (segmentStart: Lsn, index: SegmentIndex) => void;
  /** Of the segment that is being indexed, counted from the origin. */
  #startOffset = 0;
  #current = new OpenIndex();

  /**
   * @param origin the records' own: a segment's start, and all records from there on come
   * @param onIndex called for each segment in order
   */
  constructor(origin: Lsn, segmentSize: WalSegmentSize, onIndex: (segmentStart: Lsn, index: SegmentIndex) => void) {
    this.#origin = origin;
    this.#segmentSize = segmentSize;
    this.#onIndex = onIndex;
    // Read from within a segment, its index would lack what is before.
    if (segmentOffset(origin, segmentSize) !== 0) throw new RangeError("A segment is indexed from its start");
  }

  /** @param fact what `readWalFact` says of the record */
  take(record: WalRecord, fact: WalFact | undefined): void {
    while (record.startOffset >= this.#startOffset + this.#segmentSize) {
      this.#onIndex(advanceLsn(this.#origin, this.#startOffset), this.#current.close());
      this.#startOffset += this.#segmentSize;
      this.#current = new OpenIndex();
    }
    this.#current.take(record, fact);
  }
}

class OpenIndex {
  #first: WalRecord | undefined;
  #last: WalRecord | undefined;
  #transactions: IndexedTransactions | undefined;
  #hasUnknownXid = false;
  readonly #tablespaces: TablespaceCreated[] = [];
  readonly #parameters: ParametersChanged[] = [];
  readonly #restorePoints: RestorePoint[] = [];
  readonly #prepared = new Map<number, TransactionPrepared>();
  readonly #endedPrepared: number[] = [];

  take(record: WalRecord, fact: WalFact | undefined): void {
    this.#first ??= record;
    this.#last = record;
    if (fact !== undefined) this.#takeFact(fact, record);
  }

  close(): SegmentIndex {
    const [first, last] = [this.#first, this.#last];
    return {
      records:
        first === undefined || last === undefined
          ? undefined
          : { first: first.start, previous: first.previous, last: { start: last.start, end: last.end } },
      transactions: this.#transactions,
      tablespaces: this.#tablespaces,
      parameters: this.#parameters,
      restorePoints: this.#restorePoints,
      prepared: [...this.#prepared.values()],
      endedPrepared: this.#endedPrepared,
    };
  }

  #takeFact(fact: WalFact, record: WalRecord): void {
    if (fact.kind === "tablespace created") this.#tablespaces.push(fact);
    else if (fact.kind === "parameters changed") this.#parameters.push(fact);
    else if (fact.kind === "restore point") this.#restorePoints.push(fact);
    else if (fact.kind === "transaction prepared") {
      this.#prepared.set(fact.xid, fact);
      this.#transactions = this.#joined(fact.time, record);
    } else this.#endTransaction(fact, record);
  }

  #endTransaction(fact: TransactionEnd, record: WalRecord): void {
    const { time, xid } = fact;
    const known = this.#transactions;
    if (xid === undefined) this.#hasUnknownXid = true;
    else if (fact.outcome.endsWith("prepared") && !this.#prepared.delete(xid)) this.#endedPrepared.push(xid);
    this.#transactions = {
      ...this.#joined(time, record),
      lastEndTime: known?.lastEndTime === undefined || time > known.lastEndTime ? time : known.lastEndTime,
      lastCommit: fact.outcome.startsWith("commit") ? fact : known?.lastCommit,
      xids:
        xid === undefined || this.#hasUnknownXid
          ? undefined
          : { lowest: Math.min(known?.xids?.lowest ?? xid, xid), highest: Math.max(known?.xids?.highest ?? xid, xid) },
    };
  }

  /** What is known with one more transaction's end or preparation. */
  #joined(time: TimestampUs, record: WalRecord): IndexedTransactions {
    const known = this.#transactions;
    return {
      lastEndTime: known?.lastEndTime,
      lastCommit: known?.lastCommit,
      xids: known?.xids,
      lastTime: known === undefined || time > known.lastTime ? time : known.lastTime,
      last: { start: record.start, end: record.end },
    };
  }
}
