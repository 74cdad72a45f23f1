import { randomBytes } from "node:crypto";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { newObjectId } from "../core/ids.ts";
import type { Store } from "../storage/store.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import { archiveName, storeLogicalArchive, verifyStoredArchive, type StoredArchive } from "./logical-archive.ts";
import { LOGICAL_MANIFEST_VERSION, writeLogicalManifest, type LogicalManifest } from "./logical-manifest.ts";
import { openRepository, type Repository } from "./repository.ts";

export const DATABASE_ID = "ad-0123";
const STARTED_AT = new Date("2023-12-07T00:06:08Z");
const COMPRESSION = { level: 5, blockSizeBytes: 64 * 1024, inFlight: 3 };

export interface TestRepository {
  readonly repository: Repository;
  readonly identity: string;
  readonly recipient: string;
}

export async function openTestRepository(store: Store): Promise<TestRepository> {
  const identity = await generateX25519Identity();
  const repository = await openRepository(store, { create: { id: "test", now: STARTED_AT } });
  return { repository, identity, recipient: await identityToRecipient(identity) };
}

/** Stores the archive of any bytes as if they were a dump. */
export async function storeArchive(
  { repository, recipient }: TestRepository,
  dump: ByteStream,
  backupId: string = newObjectId(STARTED_AT),
  signal?: AbortSignal,
): Promise<{ readonly backupId: string; readonly archive: StoredArchive }> {
  const archive = await storeLogicalArchive(
    repository,
    {
      databaseId: DATABASE_ID,
      backupId,
      name: archiveName(STARTED_AT, "my_app_4553"),
      startedAt: STARTED_AT,
      dump,
      recipients: [recipient],
      compression: COMPRESSION,
    },
    signal === undefined ? {} : { signal },
  );
  return { backupId, archive };
}

/** Verifies and commits a stored archive. */
export async function commitArchive(
  { repository, recipient }: TestRepository,
  { backupId, archive }: { readonly backupId: string; readonly archive: StoredArchive },
): Promise<LogicalManifest> {
  const hashes = await verifyStoredArchive(repository, archive);
  const { key, fileName, sizeBytes, storedSizeBytes } = archive;
  const manifest: LogicalManifest = {
    format: "tidemark-logical",
    version: LOGICAL_MANIFEST_VERSION,
    backupId,
    databaseId: DATABASE_ID,
    resourceId: "my_app_4553",
    method: "manual",
    startedAt: STARTED_AT.toISOString(),
    finishedAt: STARTED_AT.toISOString(),
    postgresqlVersion: "15.18",
    archive: { key, fileName, sizeBytes, storedSizeBytes, ...hashes },
    dump: { sizeBytes: archive.dumpSizeBytes, entries: 1, tablesWithData: 1 },
    warnings: [],
  };
  await writeLogicalManifest(repository, manifest, [recipient]);
  return manifest;
}

/** Random bytes in pieces as a pipe gives them, each of its own. */
export async function* randomDump(sizeBytes: number, pieceBytes = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= pieceBytes) yield randomBytes(Math.min(left, pieceBytes));
}

export async function* bytesAsDump(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
