import { z } from "zod";
import { TidemarkError } from "../../core/errors.ts";
import { type Lsn, formatLsn, parseLsn } from "../../core/lsn.ts";
import { type TimestampUs, formatTimestamp, parseTimestamp } from "../../core/timestamp.ts";
import type { TransactionEnd } from "./record.ts";
import type { IndexedTransactions, SegmentIndex } from "./segment-index.ts";

/** Version of the JSON; a reader passes over later ones, since the log itself says all of it. */
const FORMAT = 1;

const lsn = z.string().transform((text) => parseLsn(text));
const time = z.string().transform((text) => parseTimestamp(text));
const xid = z.number().int().nonnegative();
const place = z.object({ start: lsn, end: lsn });
const minimum = z.number().int().nonnegative();
const transactionEnd = z.object({
  start: lsn,
  outcome: z.enum(["commit", "abort", "commit prepared", "abort prepared"]),
  time,
  xid: xid.nullable(),
});

const schema = z.object({
  format: z.literal(FORMAT),
  records: z.object({ first: lsn, previous: lsn, last: place }).nullable(),
  transactions: z
    .object({
      lastTime: time,
      lastEndTime: time.nullable(),
      last: place,
      lastCommit: transactionEnd.nullable(),
      xids: z.object({ lowest: xid, highest: xid }).nullable(),
    })
    .nullable(),
  tablespaces: z.array(
    z
      .object({ start: lsn, oid: z.string(), path: z.string() })
      .transform((one) => ({ kind: "tablespace created" as const, ...one })),
  ),
  parameters: z.array(
    z
      .object({
        start: lsn,
        minimums: z.object({
          maxConnections: minimum,
          maxWorkerProcesses: minimum,
          maxWalSenders: minimum,
          maxPreparedTransactions: minimum,
          maxLocksPerTransaction: minimum,
        }),
      })
      .transform((one) => ({ kind: "parameters changed" as const, ...one })),
  ),
  restorePoints: z.array(
    z.object({ start: lsn, time, name: z.string() }).transform((one) => ({ kind: "restore point" as const, ...one })),
  ),
  prepared: z.array(
    z
      .object({ start: lsn, time, xid, gid: z.string() })
      .transform((one) => ({ kind: "transaction prepared" as const, ...one })),
  ),
  endedPrepared: z.array(xid),
});

/** The index as JSON, in the order that docs/format.md gives. */
export function encodeSegmentIndex(index: SegmentIndex): Buffer {
  const { records, transactions } = index;
  const value: z.input<typeof schema> = {
    format: FORMAT,
    records:
      records === undefined
        ? null
        : { first: formatLsn(records.first), previous: formatLsn(records.previous), last: placeText(records.last) },
    transactions: transactions === undefined ? null : transactionsText(transactions),
    tablespaces: index.tablespaces.map(({ start, oid, path }) => ({ start: formatLsn(start), oid, path })),
    parameters: index.parameters.map(({ start, minimums }) => ({ start: formatLsn(start), minimums })),
    restorePoints: index.restorePoints.map((point) => ({ ...markText(point), name: point.name })),
    prepared: index.prepared.map((one) => ({ ...markText(one), xid: one.xid, gid: one.gid })),
    endedPrepared: [...index.endedPrepared],
  };
  return Buffer.from(JSON.stringify(value));
}

/**
 * The opposite.
 *
 * @returns undefined for an index of a later version of the program
 * @throws `object_corrupt` for bytes that are no index
 */
export function decodeSegmentIndex(bytes: Buffer, what: string): SegmentIndex | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    const { format } = z.object({ format: z.number() }).parse(value);
    return format > FORMAT ? undefined : indexOf(schema.parse(value));
  } catch (error) {
    throw new TidemarkError("object_corrupt", `Cannot read "${what}": it is no index of a segment`, {
      hint: "Remove the object: what it says stands in the write-ahead log itself",
      cause: error,
    });
  }
}

function indexOf(parsed: z.output<typeof schema>): SegmentIndex {
  const { records, transactions, tablespaces, parameters, restorePoints, prepared, endedPrepared } = parsed;
  return {
    records: records ?? undefined,
    transactions:
      transactions === null
        ? undefined
        : {
            ...transactions,
            lastEndTime: transactions.lastEndTime ?? undefined,
            lastCommit: transactions.lastCommit === null ? undefined : endOf(transactions.lastCommit),
            xids: transactions.xids ?? undefined,
          },
    tablespaces,
    parameters,
    restorePoints,
    prepared,
    endedPrepared,
  };
}

function transactionsText(transactions: IndexedTransactions): z.input<typeof schema>["transactions"] {
  const { lastTime, lastEndTime, last, lastCommit, xids } = transactions;
  return {
    lastTime: formatTimestamp(lastTime),
    lastEndTime: lastEndTime === undefined ? null : formatTimestamp(lastEndTime),
    last: placeText(last),
    lastCommit:
      lastCommit === undefined
        ? null
        : { ...markText(lastCommit), outcome: lastCommit.outcome, xid: lastCommit.xid ?? null },
    xids: xids ?? null,
  };
}

function endOf({ xid: known, ...end }: z.output<typeof transactionEnd>): TransactionEnd {
  return { kind: "transaction end", ...end, xid: known ?? undefined };
}

function placeText({ start, end }: { readonly start: Lsn; readonly end: Lsn }): { start: string; end: string } {
  return { start: formatLsn(start), end: formatLsn(end) };
}

function markText(mark: { readonly start: Lsn; readonly time: TimestampUs }): { start: string; time: string } {
  return { start: formatLsn(mark.start), time: formatTimestamp(mark.time) };
}
