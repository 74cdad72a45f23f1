import { z } from "zod";
import { isErrorCode, TidemarkError } from "../core/errors.ts";
import { decryptAgeBytes, encryptAgeBytes } from "../stream/age.ts";
import { readAll } from "../stream/byte-stream.ts";
import { compressZstd, decompressZstd } from "../stream/zstd.ts";
import { logicalManifestKey } from "./layout.ts";
import type { Repository } from "./repository.ts";

export const LOGICAL_MANIFEST_VERSION = 1;

/** A manifest has about 1 KiB; the rest is room for warnings that name tables. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
const MANIFEST_ZSTD_LEVEL = 3;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const sizeSchema = z.int().min(0);
const instantSchema = z.iso.datetime();

const manifestSchema = z.object({
  format: z.literal("tidemark-logical"),
  version: z.literal(LOGICAL_MANIFEST_VERSION),
  backupId: z.string().regex(/^[0-9a-f]{24}$/),
  databaseId: z.string().min(1),
  /** The addon's public name, my_app_4553 say. */
  resourceId: z.string().min(1),
  method: z.enum(["periodic", "manual"]),
  startedAt: instantSchema,
  finishedAt: instantSchema,
  /** Of the server, as it says it: 15.18. */
  postgresqlVersion: z.string(),
  archive: z.object({
    /** The object, relative to the store. */
    key: z.string(),
    /** As users see it, with `.tar.gz`. */
    fileName: z.string(),
    sizeBytes: sizeSchema,
    sha256: sha256Schema,
    storedSizeBytes: sizeSchema,
    storedSha256: sha256Schema,
  }),
  dump: z.object({
    sizeBytes: sizeSchema,
    /** Entries in the dump's table of contents. */
    entries: sizeSchema,
    /** Tables whose rows are in it. */
    tablesWithData: sizeSchema,
  }),
  /** What a user should know: sentences. */
  warnings: z.array(z.string()),
});

/** One finished logical backup. Its fields are listed in docs/format.md. */
export type LogicalManifest = z.infer<typeof manifestSchema>;

interface Call {
  readonly signal?: AbortSignal;
}

/**
 * Commits a backup: from here on it exists.
 *
 * @param recipients of the database.
 * @throws `object_exists` when this backup is committed already, by another attempt: nothing is changed then.
 */
export async function writeLogicalManifest(
  { store }: Repository,
  manifest: LogicalManifest,
  recipients: readonly string[],
  call: Call = {},
): Promise<void> {
  const json = Buffer.from(JSON.stringify(manifestSchema.parse(manifest)));
  const stored = await encryptAgeBytes(recipients, await compressZstd(json, MANIFEST_ZSTD_LEVEL));
  await store.put(logicalManifestKey(manifest.databaseId, manifest.backupId), stored, call);
}

/**
 * Reads the manifest of one backup.
 *
 * @param identity the database's, unwrapped.
 * @returns undefined when there is no such backup.
 * @throws `object_corrupt`, `key_missing`, `format_too_new`.
 */
export async function readLogicalManifest(
  { store }: Repository,
  backup: { readonly databaseId: string; readonly backupId: string },
  identity: string,
  call: Call = {},
): Promise<LogicalManifest | undefined> {
  const key = logicalManifestKey(backup.databaseId, backup.backupId);
  let stored: Buffer;
  try {
    stored = await readAll(store.get(key, call), MANIFEST_BYTES_MAX);
  } catch (error) {
    if (isErrorCode(error, "object_not_found")) return undefined;
    throw error;
  }
  const manifest = parse(key, await decompress(key, await decryptAgeBytes(stored, identity, key)));
  if (manifest.backupId !== backup.backupId || manifest.databaseId !== backup.databaseId)
    throw corrupt(key, `it is the manifest of backup "${manifest.backupId}" of database "${manifest.databaseId}"`);
  return manifest;
}

async function decompress(key: string, bytes: Buffer): Promise<Buffer> {
  try {
    return await decompressZstd(bytes, MANIFEST_BYTES_MAX);
  } catch (error) {
    throw corrupt(key, "it can't be decompressed", error);
  }
}

function parse(key: string, bytes: Buffer): LogicalManifest {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw corrupt(key, "it is no JSON", error);
  }
  const version = z.object({ version: z.int() }).safeParse(json);
  if (version.success && version.data.version > LOGICAL_MANIFEST_VERSION)
    throw new TidemarkError("format_too_new", `Cannot read "${key}": its version is ${version.data.version}`, {
      hint: "Use the version of Tidemark that wrote it, or a later one",
    });
  const manifest = manifestSchema.safeParse(json);
  if (!manifest.success) throw corrupt(key, "its fields are not those of a manifest", manifest.error);
  return manifest.data;
}

function corrupt(key: string, how: string, cause?: unknown): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot read "${key}": ${how}`, { cause });
}
