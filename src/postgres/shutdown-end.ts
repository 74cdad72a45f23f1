import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Lsn, type TimelineId, type WalSegmentSize, advanceLsn, segmentName, segmentOffset } from "../core/lsn.ts";
import { readControlFile } from "./control-file.ts";

const PAGE_BYTES = 8192;
const PAGE_HEADER_BYTES = 24;
/** A segment's first page says more. */
const LONG_PAGE_HEADER_BYTES = 40;
const RECORD_ALIGNMENT_BYTES = 8;
const LENGTH_BYTES = 4;

export interface ShutdownEnd {
  readonly timeline: TimelineId;
  readonly segmentSize: WalSegmentSize;
  /** Where the last record of the log ends, the shutdown checkpoint's. */
  readonly end: Lsn;
}

/**
 * Where the log of a stopped cluster ends.
 *
 * @param dataFolder of a server that doesn't run
 * @returns undefined when it wasn't shut down cleanly: its log then ends wherever a recovery finds it to
 * @throws as `readControlFile`, and what reading the files throws
 */
export async function readShutdownEnd(dataFolder: string): Promise<ShutdownEnd | undefined> {
  const control = await readControlFile(dataFolder);
  if (control.state !== "shut down") return undefined;
  const { timeline, walSegmentSize: segmentSize, checkpoint } = control;
  const lengthBytes = await readRecordLength(
    join(dataFolder, "pg_wal", segmentName(timeline, checkpoint, segmentSize)),
    {
      offset: segmentOffset(checkpoint, segmentSize),
    },
  );
  return { timeline, segmentSize, end: recordEnd(checkpoint, lengthBytes, segmentSize) };
}

/**
 * Where a record ends: the next one begins there.
 *
 * @param start of the record, behind any page header
 * @param lengthBytes as the record says it, page headers on its way not counted
 */
export function recordEnd(start: Lsn, lengthBytes: number, segmentSize: WalSegmentSize): Lsn {
  let left = Math.ceil(lengthBytes / RECORD_ALIGNMENT_BYTES) * RECORD_ALIGNMENT_BYTES;
  let at = start;
  for (;;) {
    const room = PAGE_BYTES - (segmentOffset(at, segmentSize) % PAGE_BYTES);
    if (left <= room) return advanceLsn(at, left);
    left -= room;
    at = advanceLsn(at, room);
    at = advanceLsn(at, segmentOffset(at, segmentSize) === 0 ? LONG_PAGE_HEADER_BYTES : PAGE_HEADER_BYTES);
  }
}

/** The first field of a record, which is never cut by a page's end. */
async function readRecordLength(path: string, { offset }: { readonly offset: number }): Promise<number> {
  const file = await open(path, "r");
  try {
    const { buffer } = await file.read(Buffer.alloc(LENGTH_BYTES), 0, LENGTH_BYTES, offset);
    return buffer.readUInt32LE(0);
  } finally {
    await file.close();
  }
}
