import { TidemarkError, isErrorCode } from "../core/errors.ts";
import { parseSegmentName } from "../core/lsn.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { listSegmentPieces } from "../repository/wal-archive.ts";
import { contiguousBytes } from "../repository/wal-inventory.ts";
import { readSegment } from "../repository/wal-segment.ts";
import type { Branch, BranchSegment } from "./branch.ts";

/** A segment's pieces are merged once, when it is full; a second time can only be its removal. */
const LISTINGS_MAX = 3;

/**
 * The usable bytes of a branch's segment. The database may be backed up meanwhile, so that its pieces are merged into a whole segment while they are
 * read: then reading goes on in what took their place.
 *
 * @throws `object_not_found` when the segment is gone, and as `readSegment`
 */
export async function* readBranchSegment(
  archive: PhysicalArchive,
  { lineage, segmentSize }: Pick<Branch, "lineage" | "segmentSize">,
  segment: BranchSegment,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { timeline } = parseSegmentName(segment.name, segmentSize);
  let { pieces } = segment;
  let doneBytes = 0;
  for (let listing = 1; ; listing++) {
    try {
      let at = 0;
      // Read to the very end, where the last piece's hash is checked.
      for await (const chunk of readSegment(archive, pieces, signal)) {
        const used = chunk.subarray(Math.max(0, doneBytes - at), Math.max(0, segment.usableBytes - at));
        at += chunk.length;
        if (used.length === 0) continue;
        doneBytes += used.length;
        yield used;
      }
      if (doneBytes === segment.usableBytes) return;
      throw new TidemarkError("object_not_found", `Cannot read segment "${segment.name}": a part of it is gone`);
    } catch (error) {
      if (!isErrorCode(error, "object_not_found") || listing === LISTINGS_MAX) throw error;
      pieces = await listSegmentPieces(archive, { lineage, timeline, segment: segment.name }, signal);
      if (contiguousBytes(pieces) < segment.usableBytes) throw error;
    }
  }
}
