import {
  type Lsn,
  LSN_ZERO,
  type SegmentName,
  type TimelineId,
  advanceLsn,
  lsnDistance,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentStart,
  toTimelineId,
} from "../core/lsn.ts";
import type { BaseBackupManifest } from "../repository/base-backup-set.ts";
import type { WalPiece } from "../repository/physical-layout.ts";
import type { LineageFacts } from "./facts.ts";

/** The part of a branch that lies on one timeline. */
export interface Stretch {
  readonly timeline: TimelineId;
  readonly from: Lsn;
  /** Where the timeline was left; undefined for the branch's own. */
  readonly to: Lsn | undefined;
}

/** One way through a lineage's timelines: a timeline and its ancestors, as far as each was followed. */
export interface Branch extends Pick<LineageFacts, "lineage" | "segmentSize" | "inventory" | "indexes"> {
  readonly timeline: TimelineId;
  /** Oldest first; the last one is the branch's own timeline. */
  readonly stretches: readonly Stretch[];
}

/** A stored segment of a branch. */
export interface BranchSegment {
  readonly name: SegmentName;
  readonly start: Lsn;
  /** All that are stored of it. */
  readonly pieces: readonly WalPiece[];
  /** Bytes from its start that belong to the branch and are stored without a hole. */
  readonly usableBytes: number;
}

/** A lineage's branch that ends on `timeline`. Without a stored history the timeline is taken to be its cluster's first. */
export function openBranch(facts: LineageFacts, timeline: TimelineId): Branch {
  const stretches: Stretch[] = [];
  let from = LSN_ZERO;
  for (const entry of facts.histories.get(timeline)?.switches ?? []) {
    stretches.push({ timeline: entry.timeline, from, to: entry.end });
    from = entry.end;
  }
  stretches.push({ timeline, from, to: undefined });
  const { lineage, segmentSize, inventory, indexes } = facts;
  return { lineage, timeline, segmentSize, inventory, indexes, stretches };
}

/** The timeline that the lineage was on last: the highest that anything is stored of; undefined when nothing is. */
export function newestTimeline(facts: LineageFacts, bases: readonly BaseBackupManifest[]): TimelineId | undefined {
  const known = [
    ...facts.histories.keys(),
    ...[...facts.inventory.segments.keys()].map((name) => parseSegmentName(name, facts.segmentSize).timeline),
    ...bases.filter((base) => base.lineage === facts.lineage).map((base) => toTimelineId(base.stopTimeline)),
  ];
  return known.reduce<TimelineId | undefined>((highest, timeline) => {
    return highest === undefined || timeline > highest ? timeline : highest;
  }, undefined);
}

/**
 * The stored segments from the one that holds `from`, as far as there is no hole; the last one may be stored in part. Each is the one that PostgreSQL
 * itself takes: where a timeline was left in mid-segment, that of the newer timeline, which begins with a copy of the older one's.
 */
export function* walkBranch(branch: Branch, from: Lsn): Generator<BranchSegment> {
  for (let at = segmentStart(from, branch.segmentSize); ; at = advanceLsn(at, branch.segmentSize)) {
    const segment = storedSegment(branch, at);
    if (segment === undefined) return;
    yield segment;
    if (segment.usableBytes < branch.segmentSize) return;
  }
}

/** How far the branch's WAL is stored without a hole; `from` itself when not even its segment's beginning is. */
export function reachableUntil(branch: Branch, from: Lsn): Lsn {
  let end = from;
  for (const { start, usableBytes } of walkBranch(branch, from)) {
    const segmentEnd = advanceLsn(start, usableBytes);
    if (segmentEnd > end) end = segmentEnd;
  }
  return end;
}

/** Where the branch's stored WAL goes on after a hole that begins at `from`; undefined when nothing comes later. */
export function nextStored(branch: Branch, from: Lsn): Lsn | undefined {
  let next: Lsn | undefined;
  for (const stretch of branch.stretches)
    for (const [name, { start, pieces }] of branch.inventory.segments) {
      if (parseSegmentName(name, branch.segmentSize).timeline !== stretch.timeline) continue;
      for (const piece of pieces) {
        const at = advanceLsn(start, piece.from);
        const isOnStretch = at >= segmentStart(stretch.from, branch.segmentSize) && isBefore(at, stretch.to);
        if (isOnStretch && at > from && (next === undefined || at < next)) next = at;
      }
    }
  return next;
}

/** The branch's base backups that all their WAL is stored of, oldest first. */
export function usableBases(branch: Branch, bases: readonly BaseBackupManifest[]): readonly BaseBackupManifest[] {
  return bases
    .filter(
      (base) => isOnBranch(branch, base) && reachableUntil(branch, parseLsn(base.startLsn)) >= parseLsn(base.stopLsn),
    )
    .toSorted((first, second) => (parseLsn(first.stopLsn) < parseLsn(second.stopLsn) ? -1 : 1));
}

/** Whether what the backup holds is part of the branch's past. */
export function isOnBranch(branch: Branch, base: BaseBackupManifest): boolean {
  if (base.lineage !== branch.lineage) return false;
  const stop = parseLsn(base.stopLsn);
  const stretch = branch.stretches.find(({ timeline }) => timeline === base.stopTimeline);
  return stretch !== undefined && stop > stretch.from && (stretch.to === undefined || stop <= stretch.to);
}

function storedSegment(branch: Branch, start: Lsn): BranchSegment | undefined {
  for (const stretch of branch.stretches.toReversed()) {
    if (segmentStart(stretch.from, branch.segmentSize) > start) continue;
    const name = segmentName(stretch.timeline, start, branch.segmentSize);
    const stored = branch.inventory.segments.get(name);
    if (stored === undefined || stored.contiguousBytes === 0) continue;
    const ownBytes = stretch.to === undefined ? branch.segmentSize : lsnDistance(start, stretch.to);
    const usableBytes = Math.min(stored.contiguousBytes, ownBytes);
    if (usableBytes > 0) return { name, start, pieces: stored.pieces, usableBytes };
  }
  return undefined;
}

function isBefore(lsn: Lsn, end: Lsn | undefined): boolean {
  return end === undefined || lsn < end;
}
