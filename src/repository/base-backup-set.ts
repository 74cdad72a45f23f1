import { z } from "zod";
import { TidemarkError } from "../core/errors.ts";
import { type ObjectId, isObjectId } from "../core/ids.ts";
import { type ByteStream } from "../stream/byte-stream.ts";
import {
  type FrameSource,
  type PhysicalArchive,
  type StoredBytes,
  type WriteCall,
  readObject,
  readSmallObject,
  writeFrames,
  writeObject,
  writeSmallObject,
} from "./physical-archive.ts";
import {
  baseBackupPrefix,
  baseManifestKey,
  baseManifestPrefix,
  baseVolumeKey,
  parseBaseManifestKey,
  serverManifestKey,
} from "./physical-layout.ts";

/** Version of the manifest's format; a reader refuses later ones. */
const MANIFEST_FORMAT = 1;

const storedBytes = {
  plainBytes: z.number().int().nonnegative(),
  plainSha256: z.string(),
  storedBytes: z.number().int().nonnegative(),
  storedSha256: z.string(),
};
const lsnText = z.string().regex(/^[0-9A-F]+\/[0-9A-F]+$/);
const objectId = z.custom<ObjectId>((value) => typeof value === "string" && isObjectId(value));

const volumeSchema = z.object({
  number: z.number().int().positive(),
  /** Whose files they are; absent for the data folder's. */
  tablespaceOid: z.string().optional(),
  /** True for the last volume of an archive: all folders, and of the data folder also pg_control. It is extracted after all others. */
  isLast: z.boolean(),
  fileCount: z.number().int().nonnegative(),
  ...storedBytes,
});

const manifestSchema = z.object({
  format: z.literal(MANIFEST_FORMAT),
  backupId: objectId,
  lineage: objectId,
  /** 64 bits, as text. */
  systemId: z.string(),
  /** As server_version_num: 150018. */
  serverVersion: z.number().int(),
  segmentSizeBytes: z.number().int(),
  label: z.string(),
  timeline: z.number().int().positive(),
  startLsn: lsnText,
  stopTimeline: z.number().int().positive(),
  stopLsn: lsnText,
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** Whether the cluster has page checksums. */
  hasChecksums: z.boolean(),
  /** What a server that recovers it must have at least, as of pg_control. */
  minimums: z.object({
    maxConnections: z.number().int(),
    maxWorkerProcesses: z.number().int(),
    maxWalSenders: z.number().int(),
    maxPreparedTransactions: z.number().int(),
    maxLocksPerTransaction: z.number().int(),
  }),
  /** Where they lay on the server; a restore maps each one elsewhere. */
  tablespaces: z.array(z.object({ oid: z.string(), path: z.string() })),
  volumes: z.array(volumeSchema),
  /** PostgreSQL's own backup_manifest, as it came. */
  serverManifest: z.object(storedBytes),
  fileCount: z.number().int().nonnegative(),
  /** Bytes of all files. */
  dataBytes: z.number().int().nonnegative(),
  /** Pages whose checksum was wrong. Suspect, not bad: the log may rewrite them, which a drill finds out. */
  suspectPages: z.object({
    count: z.number().int().nonnegative(),
    /** The first ones; the number is counted over all files of the relation. */
    named: z.array(z.object({ path: z.string(), page: z.number().int() })),
  }),
});

export type BaseBackupManifest = z.infer<typeof manifestSchema>;
export type BaseBackupVolume = z.infer<typeof volumeSchema>;

/**
 * Stores one volume of a backup that isn't committed yet.
 *
 * @param place a backup id drawn for this attempt alone, and a number from 1, each once
 * @param plain a whole tar archive
 */
export async function writeBaseVolume(
  archive: PhysicalArchive,
  place: { readonly backupId: ObjectId; readonly number: number },
  plain: FrameSource,
  call: WriteCall = {},
): Promise<StoredBytes> {
  return writeFrames(archive, baseVolumeKey(archive.prefix, place.backupId, place.number), plain, call);
}

/** Stores PostgreSQL's backup_manifest of a backup that isn't committed yet. */
export async function writeServerManifest(
  archive: PhysicalArchive,
  backupId: ObjectId,
  plain: ByteStream,
  call: WriteCall = {},
): Promise<StoredBytes> {
  return writeObject(archive, serverManifestKey(archive.prefix, backupId), plain, call);
}

/** Commits a backup: before this, its volumes belong to nothing. */
export async function commitBaseBackup(
  archive: PhysicalArchive,
  manifest: BaseBackupManifest,
  call: WriteCall = {},
): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(manifestSchema.parse(manifest)));
  await writeSmallObject(archive, baseManifestKey(archive.prefix, manifest.backupId), bytes, call);
}

/** @throws `object_not_found`, `object_corrupt`, `format_too_new`, `key_missing` */
export async function readBaseBackup(
  archive: PhysicalArchive,
  backupId: ObjectId,
  signal?: AbortSignal,
): Promise<BaseBackupManifest> {
  const key = baseManifestKey(archive.prefix, backupId);
  return parseManifest(await readSmallObject(archive, key, signal), key);
}

/** Committed backups in the order of their ids, which is that of their beginning. */
export async function* listBaseBackups(archive: PhysicalArchive, signal?: AbortSignal): AsyncGenerator<ObjectId> {
  const call = signal === undefined ? {} : { signal };
  for await (const object of archive.store.list(baseManifestPrefix(archive.prefix), call)) {
    const backupId = parseBaseManifestKey(archive.prefix, object.key);
    if (backupId !== undefined && isObjectId(backupId)) yield backupId;
  }
}

/** The plain tar bytes of a volume. @throws as `readObject`; `object_corrupt` when the stored bytes aren't those of the manifest */
export function readBaseVolume(
  archive: PhysicalArchive,
  backup: BaseBackupManifest,
  volume: BaseBackupVolume,
  options: Parameters<typeof readObject>[2] = {},
): ByteStream {
  return readObject(archive, baseVolumeKey(archive.prefix, backup.backupId, volume.number), options);
}

/** PostgreSQL's backup_manifest as it came. */
export function readServerManifest(
  archive: PhysicalArchive,
  backup: BaseBackupManifest,
  options: Parameters<typeof readObject>[2] = {},
): ByteStream {
  return readObject(archive, serverManifestKey(archive.prefix, backup.backupId), options);
}

/**
 * Removes a backup, manifest first: cut short anywhere, it leaves no backup that lacks a volume. May be called again, and for a backup that was never
 * committed.
 */
export async function deleteBaseBackup(
  archive: PhysicalArchive,
  backupId: ObjectId,
  signal?: AbortSignal,
): Promise<void> {
  const call = signal === undefined ? {} : { signal };
  await archive.store.delete(baseManifestKey(archive.prefix, backupId), call);
  for await (const object of archive.store.list(baseBackupPrefix(archive.prefix, backupId), call))
    await archive.store.delete(object.key, call);
}

function parseManifest(bytes: Buffer, key: string): BaseBackupManifest {
  const value: unknown = parseJson(bytes, key);
  const version = z.object({ format: z.number() }).safeParse(value);
  if (version.success && version.data.format > MANIFEST_FORMAT)
    throw new TidemarkError("format_too_new", `Cannot read "${key}": its format ${version.data.format} is newer`, {
      hint: "Use the version of Tidemark that wrote it, or a later one",
    });
  const manifest = manifestSchema.safeParse(value);
  if (manifest.success) return manifest.data;
  throw new TidemarkError("object_corrupt", `Cannot read "${key}": it is no base backup's manifest`, {
    cause: manifest.error,
  });
}

function parseJson(bytes: Buffer, key: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new TidemarkError("object_corrupt", `Cannot read "${key}": it is no JSON`, { cause: error });
  }
}
