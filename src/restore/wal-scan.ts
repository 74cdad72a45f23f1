import { TidemarkError } from "../core/errors.ts";
import { type Lsn, advanceLsn, formatLsn, segmentStart } from "../core/lsn.ts";
import { WalRecordReader } from "../postgres/wal/record-reader.ts";
import { type WalFact, readWalFact } from "../postgres/wal/record.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { type Branch, walkBranch } from "./branch.ts";
import { readBranchSegment } from "./read-branch-segment.ts";

/** One record of stored WAL. */
export interface ScannedRecord {
  readonly start: Lsn;
  /** Where the next one begins. */
  readonly end: Lsn;
  /** What it tells; undefined for most. */
  readonly fact: WalFact | undefined;
}

/**
 * Reads a branch's stored WAL record by record, as far as it is stored without a hole. Every object's hash and every record's CRC are checked on the
 * way. Memory: one chunk and one record.
 *
 * @param from any position; reading begins with the first record of its segment
 * @param visit called for each record in order; answers "stop" to end the reading
 * @returns where the last record read ends
 * @throws `wal_invalid` when valid records end before the stored bytes do, and as `readSegment`
 */
export async function scanBranch(
  archive: PhysicalArchive,
  branch: Branch,
  { from, visit, signal }: { from: Lsn; visit: (record: ScannedRecord) => "stop" | undefined; signal?: AbortSignal },
): Promise<Lsn> {
  let isStopped = false;
  let stoppedAt: Lsn | undefined;
  const origin = segmentStart(from, branch.segmentSize);
  const reader = new WalRecordReader(origin, branch.segmentSize, (record) => {
    if (isStopped) return;
    stoppedAt = reader.validEnd;
    isStopped = visit({ start: record.start, end: reader.validEnd, fact: readWalFact(record) }) === "stop";
  });
  for (const segment of walkBranch(branch, from)) {
    for await (const chunk of readBranchSegment(archive, branch, segment, signal)) {
      signal?.throwIfAborted();
      reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      if (isStopped && stoppedAt !== undefined) return stoppedAt;
      if (reader.end !== undefined)
        throw endsEarly(branch, reader.end.at, advanceLsn(segment.start, segment.usableBytes));
    }
  }
  return reader.validEnd;
}

function endsEarly(branch: Branch, at: Lsn, storedUntil: Lsn): TidemarkError {
  return new TidemarkError(
    "wal_invalid",
    `Cannot read the stored write-ahead log of timeline ${branch.timeline}: valid records end at ${formatLsn(at)}, bytes are stored up to ${formatLsn(storedUntil)}`,
    { hint: `What was committed before ${formatLsn(at)} can be restored: give a time or a position before it` },
  );
}
