import { type TidemarkError, asTidemarkError, isErrorCode } from "../core/errors.ts";
import { toWalSegmentSize } from "../core/lsn.ts";
import { type BaseBackupManifest, listBaseBackups, readBaseBackup } from "./base-backup-set.ts";
import { listDatabaseIds, readDatabaseKey } from "./database-keys.ts";
import { type Lineage, listLineages, readLineage } from "./lineages.ts";
import { listLogicalBackups } from "./logical-backups.ts";
import type { LogicalManifest } from "./logical-manifest.ts";
import { type PhysicalArchive, openPhysicalArchive } from "./physical-archive.ts";
import type { Repository } from "./repository.ts";
import { type WalInventory, readWalInventory } from "./wal-inventory.ts";

/** Something that the catalogue has a row for. Facts of a database follow its own. */
export type CatalogueFact =
  | { readonly kind: "database"; readonly databaseId: string; readonly wrappedIdentity: Buffer }
  | { readonly kind: "logical backup"; readonly databaseId: string; readonly manifest: LogicalManifest }
  | { readonly kind: "base backup"; readonly databaseId: string; readonly manifest: BaseBackupManifest }
  | {
      readonly kind: "lineage";
      readonly databaseId: string;
      readonly record: Lineage;
      readonly inventory: WalInventory;
    }
  /** What can't be read; it hides nothing else. */
  | { readonly kind: "unreadable"; readonly databaseId: string; readonly what: string; readonly error: TidemarkError };

export interface RebuildOptions {
  /** Unwraps a database's identity by the master key. */
  readonly unwrap: (databaseId: string, wrappedIdentity: Uint8Array) => Promise<string>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Everything that the catalogue can know, from the repository and the master key alone: database by database, then its logical backups, base backups and
 * lineages, each oldest first. Changes nothing. Memory: one lineage's inventory.
 *
 * @throws what the store throws
 */
export async function* readCatalogueFacts(
  repository: Repository,
  options: RebuildOptions,
): AsyncGenerator<CatalogueFact> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  for await (const databaseId of listDatabaseIds(repository, call)) {
    const wrappedIdentity = await readDatabaseKey(repository, databaseId, call);
    if (wrappedIdentity === undefined) continue;
    yield { kind: "database", databaseId, wrappedIdentity };
    let identity: string;
    try {
      identity = await options.unwrap(databaseId, wrappedIdentity);
    } catch (error) {
      yield unreadable(databaseId, "key", error);
      continue;
    }
    yield* logicalFacts(repository, { databaseId, identity }, call);
    const archive = openPhysicalArchive({ repository, databaseId, identity, recipients: [], framesInFlight: 1 });
    yield* physicalFacts(archive, databaseId, options.signal);
  }
}

async function* logicalFacts(
  repository: Repository,
  { databaseId, identity }: { readonly databaseId: string; readonly identity: string },
  call: { signal?: AbortSignal },
): AsyncGenerator<CatalogueFact> {
  for await (const entry of listLogicalBackups(repository, databaseId, identity, call))
    yield entry.error === undefined
      ? { kind: "logical backup", databaseId, manifest: entry.manifest }
      : unreadable(databaseId, `logical backup ${entry.backupId}`, entry.error);
}

async function* physicalFacts(
  archive: PhysicalArchive,
  databaseId: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<CatalogueFact> {
  for await (const backupId of listBaseBackups(archive, signal)) {
    const fact = await readFact(databaseId, `base backup ${backupId}`, async () => {
      const manifest = await readBaseBackup(archive, backupId, signal);
      return { kind: "base backup", databaseId, manifest };
    });
    if (fact !== undefined) yield fact;
  }
  for (const lineage of await listLineages(archive, signal)) {
    const fact = await readFact(databaseId, `lineage ${lineage}`, async () => {
      const record = await readLineage(archive, lineage, signal);
      const segmentSize = toWalSegmentSize(record.segmentSizeBytes);
      return {
        kind: "lineage",
        databaseId,
        record,
        inventory: await readWalInventory(archive, { lineage, segmentSize }, signal),
      };
    });
    if (fact !== undefined) yield fact;
  }
}

/** Undefined for what was removed since it was listed. */
async function readFact(
  databaseId: string,
  what: string,
  read: () => Promise<CatalogueFact>,
): Promise<CatalogueFact | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isErrorCode(error, "object_not_found")) return undefined;
    if (!isErrorCode(error, "object_corrupt") && !isErrorCode(error, "format_too_new")) throw error;
    return unreadable(databaseId, what, error);
  }
}

function unreadable(databaseId: string, what: string, error: unknown): CatalogueFact {
  return { kind: "unreadable", databaseId, what, error: asTidemarkError(error) };
}
