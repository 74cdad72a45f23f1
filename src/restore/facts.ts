import { type ErrorCode, type TidemarkError, asTidemarkError, isErrorCode } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import {
  type SegmentName,
  type TimelineId,
  type WalSegmentSize,
  advanceLsn,
  formatTimelineId,
  parseSegmentName,
  segmentName,
  toWalSegmentSize,
} from "../core/lsn.ts";
import { type TimelineSwitch, parseTimelineHistory } from "../postgres/timeline-history.ts";
import { type BaseBackupManifest, listBaseBackups, readBaseBackup } from "../repository/base-backup-set.ts";
import { listLineages, readLineage } from "../repository/lineages.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { LineageId, StoredSegmentIndex } from "../repository/physical-layout.ts";
import { readHistory } from "../repository/wal-archive.ts";
import { listSegmentIndexes } from "../repository/wal-index.ts";
import { type WalInventory, readWalInventory } from "../repository/wal-inventory.ts";

export interface TimelineHistory {
  /** The file as PostgreSQL wrote it. */
  readonly content: string;
  readonly switches: readonly TimelineSwitch[];
}

/** One lineage: which WAL and which histories are stored of it. */
export interface LineageFacts {
  readonly lineage: LineageId;
  readonly segmentSize: WalSegmentSize;
  readonly inventory: WalInventory;
  readonly histories: ReadonlyMap<TimelineId, TimelineHistory>;
  /** Those of whole segments, by segment. */
  readonly indexes: ReadonlyMap<SegmentName, readonly StoredSegmentIndex[]>;
}

/** What the repository holds of one database's physical backups. */
export interface RestoreFacts {
  /** Oldest first. */
  readonly lineages: readonly LineageFacts[];
  /** Committed ones, oldest first. */
  readonly bases: readonly BaseBackupManifest[];
  /** Backups whose manifest can't be read: they hide no other. */
  readonly unreadable: readonly { readonly backupId: ObjectId; readonly error: TidemarkError }[];
}

/** What a changed manifest can lead to; a flipped bit in its header makes it look as if it were encrypted to somebody else. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(["object_corrupt", "format_too_new", "key_missing"]);

/**
 * Reads what a restore is planned from: names, manifests and histories, no WAL and no volume.
 *
 * @returns empty lists when the database has no physical backups
 * @throws `object_corrupt`, `key_missing`, and what the store throws
 */
export async function readRestoreFacts(archive: PhysicalArchive, signal?: AbortSignal): Promise<RestoreFacts> {
  // Ids first, then WAL, then manifests: a backup that is committed or removed meanwhile is either seen with all its WAL or not at all.
  const ids = await Array.fromAsync(listBaseBackups(archive, signal));
  const lineages: LineageFacts[] = [];
  for (const lineage of await listLineages(archive, signal)) lineages.push(await readFacts(archive, lineage, signal));
  const bases: BaseBackupManifest[] = [];
  const unreadable: { backupId: ObjectId; error: TidemarkError }[] = [];
  for (const backupId of ids) {
    try {
      bases.push(await readBaseBackup(archive, backupId, signal));
    } catch (error) {
      if (isErrorCode(error, "object_not_found")) continue;
      const problem = asTidemarkError(error);
      if (!UNREADABLE.has(problem.code)) throw error;
      unreadable.push({ backupId, error: problem });
    }
  }
  return { lineages, bases, unreadable };
}

async function readFacts(
  archive: PhysicalArchive,
  lineage: LineageId,
  signal: AbortSignal | undefined,
): Promise<LineageFacts> {
  const record = await readLineage(archive, lineage, signal);
  const segmentSize = toWalSegmentSize(record.segmentSizeBytes);
  const inventory = await readSteadyInventory(archive, { lineage, segmentSize }, signal);
  const histories = new Map<TimelineId, TimelineHistory>();
  for (const history of inventory.histories) {
    const content = await readHistory(archive, history, signal);
    histories.set(history.timeline, { content, switches: parseTimelineHistory(content) });
  }
  const indexes = await listSegmentIndexes(archive, lineage, signal);
  return { lineage, segmentSize, inventory, histories, indexes };
}

/**
 * A segment whose pieces are merged during the listing can be missed: the whole one came too late for it, the pieces went too early. So a hole counts
 * when it is seen twice.
 */
async function readSteadyInventory(
  archive: PhysicalArchive,
  lineage: { readonly lineage: LineageId; readonly segmentSize: WalSegmentSize },
  signal: AbortSignal | undefined,
): Promise<WalInventory> {
  const inventory = await readWalInventory(archive, lineage, signal);
  return hasHole(inventory) ? readWalInventory(archive, lineage, signal) : inventory;
}

function hasHole({ segments, segmentSize }: WalInventory): boolean {
  let expected: SegmentName | undefined;
  for (const name of [...segments.keys()].toSorted()) {
    const { timeline, start } = parseSegmentName(name, segmentSize);
    const isNext = expected === undefined || name === expected || !expected.startsWith(formatTimelineId(timeline));
    if (!isNext) return true;
    const isWhole = segments.get(name)?.contiguousBytes === segmentSize;
    // After one that isn't whole, none may follow on its timeline.
    expected = isWhole ? segmentName(timeline, advanceLsn(start, segmentSize), segmentSize) : name;
  }
  return false;
}
