import type { Lsn } from "../../core/lsn.ts";
import { type TimestampUs, fromPostgresTimestamp } from "../../core/timestamp.ts";

/** Resource managers whose records the engine reads; src/include/access/rmgrlist.h */
export const RMGR = { xlog: 0, transaction: 1, tablespace: 5 } as const;

export const RECORD_HEADER_BYTES = 24;

const XLOG_SWITCH = 0x40;
const XLOG_PARAMETER_CHANGE = 0x60;
const XLOG_RESTORE_POINT = 0x70;
const TABLESPACE_CREATE = 0x00;

/** Ids of a record's parts; src/include/access/xlogrecord.h */
const PART_MAIN_SHORT = 255;
const PART_MAIN_LONG = 254;
const PART_ORIGIN = 253;
const PART_TOP_XID = 252;

/** src/include/access/xact.h */
const TRANSACTION_KIND_MASK = 0x70;
const TRANSACTION_HAS_INFO = 0x80;
const XINFO_DATABASE = 1 << 0;
const XINFO_SUBTRANSACTIONS = 1 << 1;
const XINFO_RELATIONS = 1 << 2;
const XINFO_INVALIDATIONS = 1 << 3;
const XINFO_TWO_PHASE = 1 << 4;
const XINFO_DROPPED_STATISTICS = 1 << 8;
const TRANSACTION_KINDS: Readonly<Record<number, TransactionEnd["outcome"]>> = {
  0x00: "commit",
  0x20: "abort",
  0x30: "commit prepared",
  0x40: "abort prepared",
};
const TRANSACTION_PREPARE = 0x10;
/** Offsets in xl_xact_prepare, PostgreSQL 15 to 18. */
const PREPARE = { xid: 8, preparedAt: 16, gidLength: 54, headerBytes: 72 } as const;
/** Page magic of PostgreSQL 18, where an item of dropped statistics grew from 12 to 16 bytes. */
const PAGE_MAGIC_18 = 0xd118;

/** A record whose CRC was right. */
export interface WalRecord {
  readonly start: Lsn;
  /** Where the next one may begin; of a segment switch, the next segment's start. */
  readonly end: Lsn;
  /** Start of the record before, as this one says. */
  readonly previous: Lsn;
  /** `start` and `end` counted from the reader's origin: numbers, for whoever looks at every record. */
  readonly startOffset: number;
  readonly endOffset: number;
  readonly info: number;
  readonly rmgr: number;
  readonly xid: number;
  /** Of the page where the record began: tells the major version. */
  readonly pageMagic: number;
  /** What follows the header. Cut at the reader's limit, and empty for resource managers that the engine doesn't read. Valid only during the call. */
  readonly body: Buffer;
}

export interface TransactionEnd {
  readonly kind: "transaction end";
  readonly start: Lsn;
  readonly outcome: "commit" | "abort" | "commit prepared" | "abort prepared";
  /** When the server stamped it; stamps are not in the order of the log. */
  readonly time: TimestampUs;
  /** The top-level transaction; undefined only when the record is too large to be read to its end. */
  readonly xid: number | undefined;
}

export interface TransactionPrepared {
  readonly kind: "transaction prepared";
  readonly start: Lsn;
  readonly time: TimestampUs;
  readonly xid: number;
  readonly gid: string;
}

/** From here on, replay writes into this folder. */
export interface TablespaceCreated {
  readonly kind: "tablespace created";
  readonly start: Lsn;
  readonly oid: string;
  readonly path: string;
}

/** Settings that a server in recovery must have at least as high. */
export interface ParametersChanged {
  readonly kind: "parameters changed";
  readonly start: Lsn;
  readonly minimums: StandbyMinimums;
}

export interface StandbyMinimums {
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
}

/** What `pg_create_restore_point` wrote. Names need not be unique. */
export interface RestorePoint {
  readonly kind: "restore point";
  readonly start: Lsn;
  readonly time: TimestampUs;
  readonly name: string;
}

export type WalFact = TransactionEnd | TransactionPrepared | TablespaceCreated | ParametersChanged | RestorePoint;

/** Whether the rest of the segment is unused after this record. */
export function isSegmentSwitch(rmgr: number, info: number): boolean {
  return rmgr === RMGR.xlog && (info & 0xf0) === XLOG_SWITCH;
}

/** Whether `readWalFact` may find something in a record of this kind. */
export function hasFacts(rmgr: number, info: number): boolean {
  if (rmgr === RMGR.xlog) return (info & 0xf0) === XLOG_PARAMETER_CHANGE || (info & 0xf0) === XLOG_RESTORE_POINT;
  return rmgr === RMGR.transaction || rmgr === RMGR.tablespace;
}

/** What a record tells the engine; undefined for most. */
export function readWalFact(record: WalRecord): WalFact | undefined {
  if (!hasFacts(record.rmgr, record.info)) return undefined;
  if (record.rmgr === RMGR.transaction) return readTransaction(record);
  if (record.rmgr === RMGR.xlog)
    return (record.info & 0xf0) === XLOG_RESTORE_POINT ? readRestorePoint(record) : readParameters(record);
  return (record.info & 0xf0) === TABLESPACE_CREATE ? readTablespace(record) : undefined;
}

function readTransaction(record: WalRecord): WalFact | undefined {
  const kind = record.info & TRANSACTION_KIND_MASK;
  const data = mainData(record.body);
  if (data === undefined || data.length < 8) return undefined;
  if (kind === TRANSACTION_PREPARE) return readPrepare(record.start, data);
  const outcome = TRANSACTION_KINDS[kind];
  if (outcome === undefined) return undefined;
  const time = fromPostgresTimestamp(data.readBigInt64LE(0));
  // The header of a record that ends a prepared transaction belongs to the session that ended it, which has no xid.
  const xid = outcome.endsWith("prepared") ? preparedXid(record, data) : record.xid;
  return { kind: "transaction end", start: record.start, outcome, time, xid };
}

function preparedXid(record: WalRecord, data: Buffer): number | undefined {
  if ((record.info & TRANSACTION_HAS_INFO) === 0 || data.length < 12) return undefined;
  const flags = data.readUInt32LE(8);
  if ((flags & XINFO_TWO_PHASE) === 0) return undefined;
  const statisticsBytes = record.pageMagic >= PAGE_MAGIC_18 ? 16 : 12;
  let offset = 12 + ((flags & XINFO_DATABASE) === 0 ? 0 : 8);
  const lists: readonly (readonly [flag: number, itemBytes: number])[] = [
    [XINFO_SUBTRANSACTIONS, 4],
    [XINFO_RELATIONS, 12],
    [XINFO_DROPPED_STATISTICS, statisticsBytes],
    [XINFO_INVALIDATIONS, 16],
  ];
  for (const [flag, itemBytes] of lists) {
    if ((flags & flag) === 0) continue;
    if (offset + 4 > data.length) return undefined;
    offset += 4 + data.readUInt32LE(offset) * itemBytes;
  }
  return offset + 4 > data.length ? undefined : data.readUInt32LE(offset);
}

function readPrepare(start: Lsn, data: Buffer): TransactionPrepared | undefined {
  if (data.length < PREPARE.headerBytes) return undefined;
  const gidBytes = data.readUInt16LE(PREPARE.gidLength);
  const gid = data.subarray(PREPARE.headerBytes, PREPARE.headerBytes + gidBytes).toString("utf8");
  return {
    kind: "transaction prepared",
    start,
    time: fromPostgresTimestamp(data.readBigInt64LE(PREPARE.preparedAt)),
    xid: data.readUInt32LE(PREPARE.xid),
    gid: gid.split("\0")[0] ?? "",
  };
}

function readTablespace(record: WalRecord): TablespaceCreated | undefined {
  const data = mainData(record.body);
  if (data === undefined || data.length < 5) return undefined;
  const path = data.subarray(4).toString("utf8").split("\0")[0] ?? "";
  return { kind: "tablespace created", start: record.start, oid: String(data.readUInt32LE(0)), path };
}

function readParameters(record: WalRecord): ParametersChanged | undefined {
  const data = mainData(record.body);
  if (data === undefined || data.length < 20) return undefined;
  return {
    kind: "parameters changed",
    start: record.start,
    minimums: {
      maxConnections: data.readInt32LE(0),
      maxWorkerProcesses: data.readInt32LE(4),
      maxWalSenders: data.readInt32LE(8),
      maxPreparedTransactions: data.readInt32LE(12),
      maxLocksPerTransaction: data.readInt32LE(16),
    },
  };
}

/** xl_restore_point: the time, and the name in a field of fixed length. */
function readRestorePoint(record: WalRecord): RestorePoint | undefined {
  const data = mainData(record.body);
  if (data === undefined || data.length < 9) return undefined;
  const name = data.subarray(8).toString("utf8").split("\0")[0] ?? "";
  return {
    kind: "restore point",
    start: record.start,
    time: fromPostgresTimestamp(data.readBigInt64LE(0)),
    name,
  };
}

/** The record's own data; undefined when it refers to blocks, which none of the records above does. */
function mainData(body: Buffer): Buffer | undefined {
  let offset = 0;
  while (offset + 2 <= body.length) {
    const part = body[offset];
    if (part === PART_MAIN_SHORT) return body.subarray(offset + 2, offset + 2 + body.readUInt8(offset + 1));
    if (part === PART_MAIN_LONG)
      return offset + 5 > body.length
        ? undefined
        : body.subarray(offset + 5, offset + 5 + body.readUInt32LE(offset + 1));
    if (part === PART_ORIGIN) offset += 3;
    else if (part === PART_TOP_XID) offset += 5;
    else return undefined;
  }
  return undefined;
}
