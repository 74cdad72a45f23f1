import { createHash } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { TidemarkError } from "../core/errors.ts";
import { BackupManifestReader, manifestCrc } from "../postgres/backup-manifest.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import { type BaseBackupManifest, type BaseBackupVolume, readServerManifest } from "../repository/base-backup-set.ts";
import type { PhysicalArchive, StoredBytes } from "../repository/physical-archive.ts";
import { baseVolumeKey, serverManifestKey } from "../repository/physical-layout.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import { type FileOwner, writeOwnedFile } from "./owned-files.ts";
import { forEachParallel } from "./parallel.ts";
import type { PlannedTablespace } from "./plan.ts";
import { makePrivateFolder, makeRestoreFolders } from "./restore-folder.ts";
import type { ExtractedFile } from "./volume-extractor.ts";
import { VolumeThread } from "./volume-threads.ts";

/** Volumes on their way at once, each in a thread: one for each core, and no more than a disk takes well. */
const THREADS_MAX = 8;
/** Written by us; the one of the backup names the server's own folders. */
const TABLESPACE_MAP = "tablespace_map";
const TABLESPACE_MAP_STORED = "tablespace_map.source";
/** A backup of a standby carries it, and it would win over recovery.signal. */
const STANDBY_SIGNAL = "standby.signal";
const RECOVERY_SIGNAL = "recovery.signal";

export interface FetchRequest {
  readonly base: BaseBackupManifest;
  /** The data folder: absent or empty. */
  readonly folder: string;
  readonly tablespaces: readonly PlannedTablespace[];
  /** Who shall own everything, when root restores for somebody else. */
  readonly owner?: FileOwner | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly doneBytes: number; readonly totalBytes: number }) => void) | undefined;
}

/**
 * Fetches a base backup into a data folder that is ready to recover: volumes in parallel, each checked against the hash of its manifest, each file
 * against PostgreSQL's own. pg_control comes last, and only when all else is right: a folder where this ended early doesn't start.
 *
 * Memory: some 30 MB for each thread, and about 150 bytes for each file.
 *
 * @param signal ends it; the folder stays as it is
 * @throws `restore_refused` when a folder is in use, `object_corrupt` naming the object and the file, `disk_full`, what the store throws
 */
export async function fetchBaseBackup(archive: PhysicalArchive, request: FetchRequest): Promise<void> {
  const { base, folder, tablespaces, owner, signal } = request;
  await makeRestoreFolders([folder, ...tablespaces.map((tablespace) => tablespace.folder)], owner);
  await makePrivateFolder(join(folder, "pg_tblspc"), owner);
  const ledger = await readLedger(archive, base, signal);
  const fetcher = new VolumeFetcher(archive, request, ledger);
  try {
    const isLast = (volume: BaseBackupVolume): boolean => volume.isLast && volume.tablespaceOid === undefined;
    await forEachParallel(
      base.volumes.filter((volume) => !isLast(volume)),
      { limit: Math.min(THREADS_MAX, availableParallelism()), signal },
      (volume, anySignal) => fetcher.fetch(volume, anySignal),
    );
    ledger.assertOnlyLeft(CONTROL_FILE_PATH);
    await prepareRecovery(folder, tablespaces, owner);
    for (const volume of base.volumes.filter(isLast)) await fetchLast(fetcher, volume, request);
    ledger.assertOnlyLeft(undefined);
  } finally {
    await fetcher.close();
  }
}

/** The volume with pg_control: what is wrong with it must not leave a folder that starts. */
async function fetchLast(fetcher: VolumeFetcher, volume: BaseBackupVolume, request: FetchRequest): Promise<void> {
  const control = join(request.folder, CONTROL_FILE_PATH);
  try {
    await fetcher.fetch(volume, request.signal);
    await stat(control);
  } catch (error) {
    await rm(control, { force: true });
    throw error;
  }
}

/** Everything that tells PostgreSQL to recover and where tablespaces are, before pg_control makes the folder startable. */
async function prepareRecovery(
  folder: string,
  tablespaces: readonly PlannedTablespace[],
  owner: FileOwner | undefined,
): Promise<void> {
  await rm(join(folder, STANDBY_SIGNAL), { force: true });
  await rm(join(folder, TABLESPACE_MAP_STORED), { force: true });
  await writeOwnedFile(join(folder, RECOVERY_SIGNAL), "", owner);
  const own = tablespaces.filter(({ origin }) => origin === "base backup");
  if (own.length === 0) return;
  const lines = own.map((tablespace) => `${tablespace.oid} ${escapedPath(tablespace.folder)}\n`);
  await writeOwnedFile(join(folder, TABLESPACE_MAP), lines.join(""), owner);
}

/** As do_pg_backup_start writes it, src/backend/access/transam/xlog.c */
function escapedPath(path: string): string {
  return path.replaceAll(/[\\\n\r]/g, (character) => `\\${character}`);
}

class VolumeFetcher {
  readonly #archive: PhysicalArchive;
  readonly #request: FetchRequest;
  readonly #ledger: FileLedger;
  readonly #totalBytes: number;
  readonly #threads: VolumeThread[] = [];
  readonly #idle: VolumeThread[] = [];
  #doneBytes = 0;

  constructor(archive: PhysicalArchive, request: FetchRequest, ledger: FileLedger) {
    this.#archive = archive;
    this.#request = request;
    this.#ledger = ledger;
    this.#totalBytes = request.base.volumes.reduce((sum, volume) => sum + volume.plainBytes, 0);
  }

  async fetch(volume: BaseBackupVolume, signal: AbortSignal | undefined): Promise<void> {
    const { base, owner } = this.#request;
    const { store, prefix, identity } = this.#archive;
    const key = baseVolumeKey(prefix, base.backupId, volume.number);
    const inFolder = volume.tablespaceOid === undefined ? "" : `pg_tblspc/${volume.tablespaceOid}/`;
    const { storedSha256 } = volume;
    const thread = this.#idle.pop() ?? this.#openThread();
    await thread.extract(
      { key, identity, folder: this.#folderOf(volume), owner, storedSha256 },
      store.get(key, signal === undefined ? {} : { signal }),
      {
        onFile: (file) => this.#ledger.check(inFolder, file, key),
        onBytes: (bytes) => {
          this.#doneBytes += bytes;
          this.#request.onProgress?.({ doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
        },
      },
    );
    this.#idle.push(thread);
  }

  /** Ends what is still under way. */
  async close(): Promise<void> {
    for (const thread of this.#threads) await thread.close();
  }

  #openThread(): VolumeThread {
    const thread = new VolumeThread();
    this.#threads.push(thread);
    return thread;
  }

  #folderOf({ tablespaceOid }: BaseBackupVolume): string {
    if (tablespaceOid === undefined) return this.#request.folder;
    const tablespace = this.#request.tablespaces.find(({ oid }) => oid === tablespaceOid);
    if (tablespace !== undefined) return tablespace.folder;
    throw new TidemarkError("restore_refused", `Cannot restore: tablespace ${tablespaceOid} has no folder`);
  }
}

/** The plain bytes of an object, which end with an error unless sizes and hashes are those of its manifest. */
async function* checked(
  expected: StoredBytes,
  key: string,
  read: (onStored: (chunk: Uint8Array) => void) => ByteStream,
): AsyncGenerator<Uint8Array> {
  const [plainHash, storedHash] = [createHash("sha256"), createHash("sha256")];
  for await (const chunk of read((stored) => void storedHash.update(stored))) {
    plainHash.update(chunk);
    yield chunk;
  }
  if (storedHash.digest("hex") === expected.storedSha256 && plainHash.digest("hex") === expected.plainSha256) return;
  throw new TidemarkError("object_corrupt", `Cannot read "${key}": its SHA-256 is not that of its manifest`, {
    hint: "The stored bytes were changed; restore from another base backup",
  });
}

/** The files that PostgreSQL's manifest lists and that haven't come yet. */
class FileLedger {
  readonly #expected: Map<string, string>;

  constructor(expected: Map<string, string>) {
    this.#expected = expected;
  }

  check(inFolder: string, file: ExtractedFile, key: string): void {
    const stored = Buffer.from(file.path).toString("latin1").replace(/^\.\//, "");
    const path = `${inFolder}${stored === TABLESPACE_MAP_STORED ? TABLESPACE_MAP : stored}`;
    const expected = this.#expected.get(path);
    this.#expected.delete(path);
    if (expected === fileMark(file.sizeBytes, manifestCrc(file.crc32c))) return;
    const how = expected === undefined ? "is not listed in" : "is not as it is listed in";
    throw new TidemarkError(
      "object_corrupt",
      `Cannot restore "${path}" of "${key}": it ${how} PostgreSQL's own manifest`,
      {
        hint: "Restore from another base backup",
      },
    );
  }

  /** @throws `object_corrupt` when other files than this one are missing */
  assertOnlyLeft(path: string | undefined): void {
    for (const missing of this.#expected.keys())
      if (missing !== path)
        throw new TidemarkError(
          "object_corrupt",
          `Cannot restore "${missing}": no volume of the base backup holds it`,
          {
            hint: "Restore from another base backup",
          },
        );
  }
}

async function readLedger(
  archive: PhysicalArchive,
  base: BaseBackupManifest,
  signal: AbortSignal | undefined,
): Promise<FileLedger> {
  const expected = new Map<string, string>();
  const reader = new BackupManifestReader((file) => {
    expected.set(file.path.toString("latin1"), fileMark(file.sizeBytes, file.crc32c));
  });
  const key = serverManifestKey(archive.prefix, base.backupId);
  const read = (onStored: (chunk: Uint8Array) => void): ByteStream =>
    readServerManifest(archive, base, { signal, onStored });
  for await (const chunk of checked(base.serverManifest, key, read))
    reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  reader.finish();
  return new FileLedger(expected);
}

function fileMark(sizeBytes: number, crc: string): string {
  return `${sizeBytes} ${crc}`;
}
