import { type Lsn, lsnDistance, parseLsn, segmentStart } from "../core/lsn.ts";
import type { TimestampUs } from "../core/timestamp.ts";
import type {
  StandbyMinimums,
  TablespaceCreated,
  TransactionEnd,
  TransactionPrepared,
  WalFact,
} from "../postgres/wal/record.ts";
import type { RecordPlace, SegmentIndex } from "../postgres/wal/segment-index.ts";
import type { BaseBackupManifest } from "../repository/base-backup-set.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { Branch } from "./branch.ts";
import type { ReplayTarget } from "./target-request.ts";
import { type IndexedSegment, type ScannedRecord, scanBranch, scanTrusting } from "./wal-scan.ts";

/** What the WAL from a base backup up to a target holds. */
export interface ReplayFacts {
  /** The last record to replay: of a transaction's end, or the one that ends the backup when no transaction ended since. */
  readonly last: RecordPlace;
  readonly lastCommit: TransactionEnd | undefined;
  /** Time targets: the first commit or abort that is stamped later; exclusive transaction targets: the transaction's end. */
  readonly firstLater: TransactionEnd | undefined;
  /** The latest stamp before `firstLater`. */
  readonly latestStamp: TimestampUs | undefined;
  /** Transaction targets: its end. */
  readonly wanted: TransactionEnd | undefined;
  readonly tablespacesCreated: readonly TablespaceCreated[];
  readonly minimums: StandbyMinimums;
  readonly prepared: readonly TransactionPrepared[];
  /** Where the last record read ends. */
  readonly readUntil: Lsn;
}

/**
 * Reads stored WAL from a base backup's start as far as the target needs, and keeps what replay will meet. Of whole segments that the target doesn't lie in,
 * the index is read alone, where there is one.
 *
 * @throws as `scanBranch`
 */
export async function collectReplayFacts(
  archive: PhysicalArchive,
  { branch, base }: { readonly branch: Branch; readonly base: BaseBackupManifest },
  target: ReplayTarget,
  signal: AbortSignal | undefined,
): Promise<ReplayFacts> {
  const from = parseLsn(base.startLsn);
  return scanTrusting(async (mayPass) => {
    const collector = new ReplayCollector(base, target, segmentStart(from, branch.segmentSize));
    const readUntil = await scanBranch(archive, branch, {
      from,
      visit: (record) => collector.visit(record),
      pass: mayPass ? (segment) => collector.pass(segment) : undefined,
      signal,
    });
    return collector.facts(readUntil);
  });
}

class ReplayCollector {
  readonly #target: ReplayTarget;
  readonly #start: Lsn;
  readonly #stop: Lsn;
  readonly #tablespaces: TablespaceCreated[] = [];
  readonly #prepared = new Map<number, TransactionPrepared>();
  /** The same, and the target, from where the scan begins: every record is compared with them. */
  readonly #offsets: { readonly start: number; readonly stop: number; readonly target: number };
  #minimums: StandbyMinimums;
  #last: RecordPlace;
  #lastCommit: TransactionEnd | undefined;
  #firstLater: TransactionEnd | undefined;
  #latestStamp: TimestampUs | undefined;
  #wanted: TransactionEnd | undefined;

  constructor(base: BaseBackupManifest, target: ReplayTarget, origin: Lsn) {
    this.#target = target;
    this.#start = parseLsn(base.startLsn);
    this.#stop = parseLsn(base.stopLsn);
    this.#offsets = {
      start: lsnDistance(origin, this.#start),
      stop: lsnDistance(origin, this.#stop),
      target: target.kind === "lsn" ? lsnDistance(origin, target.lsn) : Number.POSITIVE_INFINITY,
    };
    this.#minimums = base.minimums;
    this.#last = { start: this.#start, end: this.#start };
  }

  /** Takes a segment as a whole, unless one of its records may be the target or the backup's end. */
  pass({ start, end, index }: IndexedSegment): boolean {
    if (start < this.#start || (start < this.#stop && end > this.#stop)) return false;
    if (!this.#isBeforeTarget(end, index)) return false;
    const { records, transactions } = index;
    const last = end <= this.#stop || this.#target.kind === "lsn" ? records?.last : transactions?.last;
    if (last !== undefined) this.#last = last;
    this.#tablespaces.push(...index.tablespaces);
    for (const { minimums } of index.parameters) this.#minimums = highest(this.#minimums, minimums);
    for (const xid of index.endedPrepared) this.#prepared.delete(xid);
    for (const prepared of index.prepared) this.#prepared.set(prepared.xid, prepared);
    this.#lastCommit = transactions?.lastCommit ?? this.#lastCommit;
    this.#noteStamp(transactions?.lastEndTime);
    return true;
  }

  visit(record: ScannedRecord): "stop" | undefined {
    if (record.offset < this.#offsets.start) return undefined;
    const { fact } = record;
    if (this.#isBeyond(record)) {
      if (fact?.kind === "transaction end") this.#firstLater = fact;
      return "stop";
    }
    // The copy is consistent only once the record before the stop position was replayed; a position takes every record.
    if (record.offset < this.#offsets.stop || this.#target.kind === "lsn") this.#advance(record);
    if (fact !== undefined) this.#take(fact, record);
    return this.#wanted === undefined ? undefined : "stop";
  }

  facts(readUntil: Lsn): ReplayFacts {
    const isBeforeEnd = ({ start }: { start: Lsn }): boolean => start <= this.#last.start;
    return {
      last: { start: this.#last.start, end: this.#last.end },
      lastCommit: this.#lastCommit,
      firstLater: this.#firstLater,
      latestStamp: this.#latestStamp,
      wanted: this.#wanted,
      tablespacesCreated: this.#tablespaces.filter(isBeforeEnd),
      minimums: this.#minimums,
      prepared: [...this.#prepared.values()].filter(isBeforeEnd),
      readUntil,
    };
  }

  #isBeforeTarget(end: Lsn, { transactions }: SegmentIndex): boolean {
    const target = this.#target;
    if (target.kind === "lsn") return end <= target.lsn;
    if (target.kind === "latest" || transactions === undefined) return true;
    if (target.kind === "time") return !isLater(transactions.lastTime, target);
    const { lastEndTime, xids } = transactions;
    if (lastEndTime === undefined) return true;
    return xids !== undefined && (target.xid < xids.lowest || target.xid > xids.highest);
  }

  #isBeyond({ offset, fact }: ScannedRecord): boolean {
    const target = this.#target;
    if (target.kind === "lsn")
      return target.isExclusive === true ? offset >= this.#offsets.target : offset > this.#offsets.target;
    return target.kind === "time" && fact?.kind === "transaction end" && isLater(fact.time, target);
  }

  #take(fact: WalFact, record: ScannedRecord): void {
    if (fact.kind === "tablespace created") this.#tablespaces.push(fact);
    else if (fact.kind === "parameters changed") this.#minimums = highest(this.#minimums, fact.minimums);
    else if (fact.kind === "transaction prepared") {
      this.#prepared.set(fact.xid, fact);
      if (this.#target.kind !== "time" || !isLater(fact.time, this.#target)) this.#advance(record);
    } else if (fact.kind === "transaction end") this.#endTransaction(fact, record);
  }

  #endTransaction(fact: TransactionEnd, record: ScannedRecord): void {
    const target = this.#target;
    if (target.kind === "xid" && fact.xid === target.xid) {
      this.#wanted = fact;
      if (target.isExclusive === true) {
        this.#firstLater = fact;
        return;
      }
    }
    if (fact.xid !== undefined && fact.outcome.endsWith("prepared")) this.#prepared.delete(fact.xid);
    this.#noteStamp(fact.time);
    if (fact.outcome.startsWith("commit")) this.#lastCommit = fact;
    this.#advance(record);
  }

  #noteStamp(time: TimestampUs | undefined): void {
    if (time !== undefined && (this.#latestStamp === undefined || time > this.#latestStamp)) this.#latestStamp = time;
  }

  #advance({ record }: ScannedRecord): void {
    this.#last = record;
  }
}

function isLater(time: TimestampUs, target: Extract<ReplayTarget, { kind: "time" }>): boolean {
  return target.isExclusive === true ? time >= target.time : time > target.time;
}

/** Settings of the copy must be at least the highest on the way: https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN */
function highest(first: StandbyMinimums, second: StandbyMinimums): StandbyMinimums {
  return {
    maxConnections: Math.max(first.maxConnections, second.maxConnections),
    maxWorkerProcesses: Math.max(first.maxWorkerProcesses, second.maxWorkerProcesses),
    maxWalSenders: Math.max(first.maxWalSenders, second.maxWalSenders),
    maxPreparedTransactions: Math.max(first.maxPreparedTransactions, second.maxPreparedTransactions),
    maxLocksPerTransaction: Math.max(first.maxLocksPerTransaction, second.maxLocksPerTransaction),
  };
}
