import { TidemarkError } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import { type Lsn, advanceLsn, formatLsn, parseLsn, parseSegmentName, toWalSegmentSize } from "../core/lsn.ts";
import type { Store } from "../storage/store.ts";
import { deleteBaseBackup, listBaseBackups, readBaseBackup } from "./base-backup-set.ts";
import { databasePrefix } from "./layout.ts";
import { readLineage } from "./lineages.ts";
import type { PhysicalArchive } from "./physical-archive.ts";
import { baseManifestPrefix, type LineageId } from "./physical-layout.ts";
import { deleteWalPiece } from "./wal-archive.ts";
import { deleteSegmentIndex, listSegmentIndexes } from "./wal-index.ts";
import { readWalInventory } from "./wal-inventory.ts";

/*
 * Deletion's second guard: policy decides what may go, and here the repository itself is asked again, so that a mistaken decision or a stale
 * index can't take the last way back.
 */

/**
 * Removes a committed base backup, its manifest first. May be called again after an interruption.
 *
 * @throws `conflict` when it is the only one that the repository holds: nothing is removed then
 */
export async function expireBaseBackup(
  archive: PhysicalArchive,
  backupId: ObjectId,
  signal?: AbortSignal,
): Promise<void> {
  let others = 0;
  for await (const id of listBaseBackups(archive, signal)) if (id !== backupId) others += 1;
  if (others === 0)
    throw new TidemarkError("conflict", `Cannot remove the base backup "${backupId}": it is the last one`, {
      hint: "Take another base backup first",
    });
  await deleteBaseBackup(archive, backupId, signal);
}

/**
 * Removes a lineage's WAL that ends at or before a position, with its indexes; `all` removes every piece. History files stay for ever, gaps too. May be
 * called again.
 *
 * @returns how many pieces went
 * @throws `conflict` when a base backup that the repository holds needs some of it: nothing is removed then
 */
export async function expireWal(
  archive: PhysicalArchive,
  { lineage, before }: { readonly lineage: LineageId; readonly before: Lsn | "all" },
  signal?: AbortSignal,
): Promise<number> {
  await refuseNeededWal(archive, { lineage, before }, signal);
  const { segmentSizeBytes } = await readLineage(archive, lineage, signal);
  const segmentSize = toWalSegmentSize(segmentSizeBytes);
  const inventory = await readWalInventory(archive, { lineage, segmentSize }, signal);
  const goes = (start: Lsn): boolean => before === "all" || advanceLsn(start, segmentSize) <= before;
  let removed = 0;
  for (const { start, pieces } of inventory.segments.values()) {
    if (!goes(start)) continue;
    for (const piece of pieces) {
      await deleteWalPiece(archive, piece, signal);
      removed += 1;
    }
  }
  for (const [segment, indexes] of await listSegmentIndexes(archive, lineage, signal)) {
    if (!goes(parseSegmentName(segment, segmentSize).start)) continue;
    for (const index of indexes) await deleteSegmentIndex(archive, index, signal);
  }
  return removed;
}

/** Removes all of a database's physical backups, manifests first: for a database that is removed. May be called again. */
export async function removePhysicalBackups(
  store: Store,
  databaseId: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const prefix = `${databasePrefix(databaseId)}physical`;
  const call = signal === undefined ? {} : { signal };
  for (const part of [baseManifestPrefix(prefix), `${prefix}/`])
    for await (const { key } of store.list(part, call)) await store.delete(key, call);
}

async function refuseNeededWal(
  archive: PhysicalArchive,
  { lineage, before }: { readonly lineage: LineageId; readonly before: Lsn | "all" },
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const id of listBaseBackups(archive, signal)) {
    const backup = await readBaseBackup(archive, id, signal);
    if (backup.lineage !== lineage) continue;
    if (before !== "all" && before <= parseLsn(backup.startLsn)) continue;
    const position = before === "all" ? "its end" : formatLsn(before);
    throw new TidemarkError("conflict", `Cannot remove WAL up to ${position}: the base backup "${id}" needs it`, {
      hint: "Rebuild the index from the repository, which holds base backups that the index doesn't know",
    });
  }
}
