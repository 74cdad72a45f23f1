import { type ObjectId, isObjectId } from "../core/ids.ts";
import { listBaseBackups } from "./base-backup-set.ts";
import type { PhysicalArchive } from "./physical-archive.ts";
import { baseBackupPrefix, baseBackupsPrefix } from "./physical-layout.ts";

interface Candidate {
  readonly keys: string[];
  newest: Date;
}

/**
 * Removes what base backups left that were never committed, or whose removal was interrupted. A backup that is being taken adds volumes all the time, so
 * it is left alone as long as its newest object isn't older than the grace period.
 *
 * @param options.before nothing goes of a backup to which something was added at or after this instant; now less a day, say
 * @returns the removed keys
 * @throws what the store throws; what was removed until then stays removed. May be called again
 */
export async function sweepPhysicalOrphans(
  archive: PhysicalArchive,
  { before, signal }: { readonly before: Date; readonly signal?: AbortSignal | undefined },
): Promise<string[]> {
  const call = signal === undefined ? {} : { signal };
  const prefix = baseBackupsPrefix(archive.prefix);
  const candidates = new Map<ObjectId, Candidate>();
  for await (const { key, modifiedAt } of archive.store.list(prefix, call)) {
    const backupId = key.slice(prefix.length).split("/")[0] ?? "";
    if (!isObjectId(backupId) || !key.startsWith(baseBackupPrefix(archive.prefix, backupId))) continue;
    const candidate = candidates.get(backupId) ?? { keys: [], newest: modifiedAt };
    candidate.keys.push(key);
    if (modifiedAt > candidate.newest) candidate.newest = modifiedAt;
    candidates.set(backupId, candidate);
  }
  // Listed after the volumes: a manifest that was committed in between is seen.
  for await (const backupId of listBaseBackups(archive, signal)) candidates.delete(backupId);
  const orphans = [...candidates.values()].filter(({ newest }) => newest < before).flatMap(({ keys }) => keys);
  for (const key of orphans) await archive.store.delete(key, call);
  return orphans;
}
