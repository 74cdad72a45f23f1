import { asTidemarkError, isErrorCode, type TidemarkError } from "../core/errors.ts";
import {
  backupIdOfKey,
  logicalArchivesPrefix,
  logicalAttemptsPrefix,
  logicalManifestKey,
  logicalManifestsPrefix,
} from "./layout.ts";
import { readLogicalManifest, type LogicalManifest } from "./logical-manifest.ts";
import type { Repository } from "./repository.ts";

/**
 * How old an archive without a manifest must be before the sweep takes it. Between an archive's last byte and its manifest lies one reading of it, an
 * hour for a terabyte; a day leaves room for clocks that differ.
 */
export const ORPHAN_GRACE_MS = 24 * 60 * 60 * 1000;

/** A listed backup; one whose manifest can't be read is listed with the reason, so that it hides no other. */
export type LogicalBackupEntry =
  | { readonly backupId: string; readonly manifest: LogicalManifest; readonly error?: never }
  | { readonly backupId: string; readonly manifest?: never; readonly error: TidemarkError };

interface Call {
  readonly signal?: AbortSignal;
}

/**
 * Every committed logical backup of one database, oldest first, from the store alone.
 *
 * @param identity the database's, unwrapped.
 * @throws what the store throws; `key_missing` when the identity isn't this database's.
 */
export async function* listLogicalBackups(
  repository: Repository,
  databaseId: string,
  identity: string,
  call: Call = {},
): AsyncGenerator<LogicalBackupEntry> {
  for await (const { key } of repository.store.list(logicalManifestsPrefix(databaseId), call)) {
    const backupId = backupIdOfKey(key);
    if (backupId === undefined) continue;
    const entry = await readEntry(repository, { databaseId, backupId }, identity, call);
    if (entry !== undefined) yield entry;
  }
}

async function readEntry(
  repository: Repository,
  backup: { readonly databaseId: string; readonly backupId: string },
  identity: string,
  call: Call,
): Promise<LogicalBackupEntry | undefined> {
  const { backupId } = backup;
  try {
    const manifest = await readLogicalManifest(repository, backup, identity, call);
    return manifest === undefined ? undefined : { backupId, manifest };
  } catch (error) {
    if (!isErrorCode(error, "object_corrupt") && !isErrorCode(error, "format_too_new")) throw error;
    return { backupId, error: asTidemarkError(error) };
  }
}

/** Removes a backup: its manifest first, so that an interrupted call leaves only bytes that the sweep takes. May be called again. */
export async function deleteLogicalBackup(
  { store }: Repository,
  backup: { readonly databaseId: string; readonly backupId: string },
  call: Call = {},
): Promise<void> {
  await store.delete(logicalManifestKey(backup.databaseId, backup.backupId), call);
  for await (const { key } of store.list(logicalAttemptsPrefix(backup.databaseId, backup.backupId), call))
    await store.delete(key, call);
}

/**
 * Removes archives that belong to no backup: left by an attempt that died after its upload, or by a delete that did.
 *
 * @param options.identity the database's: manifests say which attempt's archive counts.
 * @param options.before archives that became visible at or after this instant stay; `now - ORPHAN_GRACE_MS`.
 * @returns the removed keys.
 * @throws also what reading a manifest throws: while one can't be read, nothing is known to be an orphan and nothing is removed.
 */
export async function sweepLogicalOrphans(
  repository: Repository,
  options: { readonly databaseId: string; readonly identity: string; readonly before: Date },
  call: Call = {},
): Promise<string[]> {
  const { store } = repository;
  const candidates: string[] = [];
  for await (const { key, modifiedAt } of store.list(logicalArchivesPrefix(options.databaseId), call))
    if (modifiedAt < options.before) candidates.push(key);

  // Read after the archives: a manifest that was committed in between is seen.
  const named = new Set<string>();
  for await (const entry of listLogicalBackups(repository, options.databaseId, options.identity, call)) {
    if (entry.error !== undefined) throw entry.error;
    named.add(entry.manifest.archive.key);
  }
  const orphans = candidates.filter((key) => !named.has(key));
  for (const key of orphans) await store.delete(key, call);
  return orphans;
}
