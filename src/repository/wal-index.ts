import { TidemarkError, isErrorCode } from "../core/errors.ts";
import type { SegmentName } from "../core/lsn.ts";
import { once } from "../stream/byte-stream.ts";
import {
  type PhysicalArchive,
  type WriteCall,
  nameMac,
  readSmallObject,
  writeSmallObject,
} from "./physical-archive.ts";
import {
  type LineageId,
  type StoredSegmentIndex,
  lineageIndexPrefix,
  parseSegmentIndexKey,
  segmentIndexKey,
} from "./physical-layout.ts";

/*
 * Indexes of whole segments, for planning: the log itself says all that they do, so a missing one costs time, and a wrong one must never be believed. Its name
 * carries the hash of the segment that it was made of, and its own.
 */

/**
 * Stores a segment's index. Storing the same one again is no error.
 *
 * @throws what the store throws
 */
export async function storeSegmentIndex(
  archive: PhysicalArchive,
  place: Omit<StoredSegmentIndex, "mac">,
  bytes: Buffer,
  call: WriteCall = {},
): Promise<StoredSegmentIndex> {
  const index = { ...place, mac: await nameMac(archive, once(bytes)) };
  try {
    await writeSmallObject(archive, segmentIndexKey(archive.prefix, index), bytes, call);
  } catch (error) {
    if (!isErrorCode(error, "object_exists")) throw error;
  }
  return index;
}

/** @throws `object_corrupt` when the bytes are not those that its name promises; as `readSmallObject` */
export async function readSegmentIndex(
  archive: PhysicalArchive,
  index: StoredSegmentIndex,
  signal?: AbortSignal,
): Promise<Buffer> {
  const key = segmentIndexKey(archive.prefix, index);
  const bytes = await readSmallObject(archive, key, signal);
  if ((await nameMac(archive, once(bytes))) === index.mac) return bytes;
  throw new TidemarkError("object_corrupt", `Cannot read "${key}": its bytes are not those that its name promises`, {
    hint: "Remove the object: what it says stands in the write-ahead log itself",
  });
}

/** The stored indexes of a lineage, by segment. Memory: about 500 bytes for each. */
export async function listSegmentIndexes(
  archive: PhysicalArchive,
  lineage: LineageId,
  signal?: AbortSignal,
): Promise<ReadonlyMap<SegmentName, readonly StoredSegmentIndex[]>> {
  const found = new Map<SegmentName, StoredSegmentIndex[]>();
  const prefix = lineageIndexPrefix(archive.prefix, lineage);
  for await (const { key } of archive.store.list(prefix, signal === undefined ? {} : { signal })) {
    const index = parseSegmentIndexKey(archive.prefix, lineage, key);
    if (index === undefined) continue;
    const list = found.get(index.segment);
    if (list === undefined) found.set(index.segment, [index]);
    else list.push(index);
  }
  return found;
}

/** Removes an index; a missing one is no error. */
export async function deleteSegmentIndex(
  archive: PhysicalArchive,
  index: StoredSegmentIndex,
  signal?: AbortSignal,
): Promise<void> {
  await archive.store.delete(segmentIndexKey(archive.prefix, index), signal === undefined ? {} : { signal });
}
