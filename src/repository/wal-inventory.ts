import {
  type Lsn,
  type SegmentName,
  type TimelineId,
  type WalSegmentSize,
  advanceLsn,
  parseSegmentName,
  segmentName,
  segmentStart,
} from "../core/lsn.ts";
import type { PhysicalArchive } from "./physical-archive.ts";
import type { LineageId, StoredGap, StoredHistory, WalPiece } from "./physical-layout.ts";
import { listLineageObjects } from "./wal-archive.ts";

/** Two joins would have to meet two listings at the same place. */
const LISTINGS_MAX = 3;

/** What is stored of a segment. */
export interface StoredSegment {
  readonly start: Lsn;
  readonly pieces: readonly WalPiece[];
  /** Bytes from the segment's start that are stored without a hole. */
  readonly contiguousBytes: number;
}

/** What is stored of a lineage's WAL, from the names alone. */
export interface WalInventory {
  readonly lineage: LineageId;
  readonly segmentSize: WalSegmentSize;
  readonly segments: ReadonlyMap<SegmentName, StoredSegment>;
  readonly histories: readonly StoredHistory[];
  readonly gaps: readonly StoredGap[];
  /** Where the newest timeline's newest segment ends; undefined when nothing is stored. */
  readonly end: { readonly timeline: TimelineId; readonly lsn: Lsn } | undefined;
}

/**
 * Lists what is stored. Memory: about 500 bytes for each segment.
 *
 * @throws `object_corrupt` for a name that isn't ours; what the store throws
 */
export async function readWalInventory(
  archive: PhysicalArchive,
  lineage: { readonly lineage: LineageId; readonly segmentSize: WalSegmentSize },
  signal?: AbortSignal,
): Promise<WalInventory> {
  const pieces = new Map<SegmentName, WalPiece[]>();
  const histories: StoredHistory[] = [];
  const gaps: StoredGap[] = [];
  for await (const object of listLineageObjects(archive, lineage.lineage, signal)) {
    if (object.kind === "history") histories.push(object.history);
    else if (object.kind === "gap") gaps.push(object.gap);
    else addPiece(pieces, object.piece);
  }
  const segments = new Map<SegmentName, StoredSegment>();
  for (const [name, list] of pieces) {
    const { start } = parseSegmentName(name, lineage.segmentSize);
    segments.set(name, { start, pieces: list, contiguousBytes: contiguousBytes(list) });
  }
  return { ...lineage, segments, histories, gaps, end: findEnd(segments, lineage.segmentSize) };
}

/** Bytes from offset 0 that the pieces hold without a hole. They may come in any order, and overlap. */
export function contiguousBytes(pieces: readonly Pick<WalPiece, "from" | "to">[]): number {
  let end = 0;
  for (const piece of pieces.toSorted((first, second) => first.from - second.from))
    if (piece.from <= end) end = Math.max(end, piece.to);
  return end;
}

/**
 * How far WAL is stored without a hole from a position on one timeline.
 *
 * @returns the end, `from` itself when not even its segment's beginning is stored
 */
export function storedUntil(inventory: WalInventory, timeline: TimelineId, from: Lsn): Lsn {
  let at = segmentStart(from, inventory.segmentSize);
  for (;;) {
    const segment = inventory.segments.get(segmentName(timeline, at, inventory.segmentSize));
    const end = advanceLsn(at, segment?.contiguousBytes ?? 0);
    if (end < advanceLsn(at, inventory.segmentSize)) return end > from ? end : from;
    at = end;
  }
}

/**
 * Whether WAL is stored without a hole from `start` to `stop` on one timeline. A listing is not a moment: pieces that are joined while it runs may be missed
 * as pieces and as a whole, so a hole counts only when it is found again.
 *
 * @throws as `readWalInventory`
 */
export async function isWalStored(
  archive: PhysicalArchive,
  lineage: { readonly lineage: LineageId; readonly segmentSize: WalSegmentSize },
  range: { readonly timeline: TimelineId; readonly start: Lsn; readonly stop: Lsn },
  signal?: AbortSignal,
): Promise<boolean> {
  for (let listing = 1; listing <= LISTINGS_MAX; listing++) {
    const inventory = await readWalInventory(archive, lineage, signal);
    if (storedUntil(inventory, range.timeline, range.start) >= range.stop) return true;
  }
  return false;
}

function addPiece(pieces: Map<SegmentName, WalPiece[]>, piece: WalPiece): void {
  const list = pieces.get(piece.segment);
  if (list === undefined) pieces.set(piece.segment, [piece]);
  else list.push(piece);
}

/** Names sort by timeline first, then as the log runs. */
function findEnd(segments: ReadonlyMap<SegmentName, StoredSegment>, segmentSize: WalSegmentSize): WalInventory["end"] {
  let last: SegmentName | undefined;
  for (const name of segments.keys()) if (last === undefined || name > last) last = name;
  const segment = last === undefined ? undefined : segments.get(last);
  if (last === undefined || segment === undefined) return undefined;
  return {
    timeline: parseSegmentName(last, segmentSize).timeline,
    lsn: advanceLsn(segment.start, segment.contiguousBytes),
  };
}
