import { type TidemarkError, asTidemarkError, isErrorCode } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import { type TimelineId, type WalSegmentSize, toWalSegmentSize } from "../core/lsn.ts";
import { type TimelineSwitch, parseTimelineHistory } from "../postgres/timeline-history.ts";
import { type BaseBackupManifest, listBaseBackups, readBaseBackup } from "../repository/base-backup-set.ts";
import { listLineages, readLineage } from "../repository/lineages.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { readHistory } from "../repository/wal-archive.ts";
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

/**
 * Reads what a restore is planned from: names, manifests and histories, no WAL and no volume.
 *
 * @returns empty lists when the database has no physical backups
 * @throws `object_corrupt`, `key_missing`, and what the store throws
 */
export async function readRestoreFacts(archive: PhysicalArchive, signal?: AbortSignal): Promise<RestoreFacts> {
  const lineages: LineageFacts[] = [];
  for (const lineage of await listLineages(archive, signal)) lineages.push(await readFacts(archive, lineage, signal));
  const bases: BaseBackupManifest[] = [];
  const unreadable: { backupId: ObjectId; error: TidemarkError }[] = [];
  for await (const backupId of listBaseBackups(archive, signal)) {
    try {
      bases.push(await readBaseBackup(archive, backupId, signal));
    } catch (error) {
      // Removed by retention between the listing and the reading: no backup any more.
      if (isErrorCode(error, "object_not_found")) continue;
      if (!isErrorCode(error, "object_corrupt") && !isErrorCode(error, "format_too_new")) throw error;
      unreadable.push({ backupId, error: asTidemarkError(error) });
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
  const inventory = await readWalInventory(archive, { lineage, segmentSize }, signal);
  const histories = new Map<TimelineId, TimelineHistory>();
  for (const history of inventory.histories) {
    const content = await readHistory(archive, history, signal);
    histories.set(history.timeline, { content, switches: parseTimelineHistory(content) });
  }
  return { lineage, segmentSize, inventory, histories };
}
