import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import { type Lsn, type TimelineId, formatLsn } from "../core/lsn.ts";
import { BackupManifestReader } from "../postgres/backup-manifest.ts";
import { CONTROL_FILE_PATH, type ControlFile, parseControlFile } from "../postgres/control-file.ts";
import { crc32c } from "../postgres/crc32c.ts";
import {
  type BackupTablespace,
  type BaseBackupEvent,
  type BaseBackupOptions,
  baseBackup,
} from "../postgres/replication/base-backup.ts";
import { identifySystem, showServerVersion } from "../postgres/replication/commands.ts";
import { type ReplicationTarget, openReplicationConnection } from "../postgres/replication/replication-connection.ts";
import {
  type BaseBackupManifest,
  commitBaseBackup,
  deleteBaseBackup,
  writeBaseVolume,
  writeServerManifest,
} from "../repository/base-backup-set.ts";
import type { PhysicalArchive, StoredBytes } from "../repository/physical-archive.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { BaseVolumes } from "./base-volumes.ts";
import { BlockChannel } from "./block-channel.ts";
import { FileLedger } from "./file-ledger.ts";
import { PageChecker } from "./page-checker.ts";
import { type TarEntry, TarSplitter, renameTarHeader, tarPadding } from "../postgres/tar-splitter.ts";

/** A stored tablespace map, extracted as it is, would make a copy write into the live tablespaces. */
const TABLESPACE_MAP = "tablespace_map";
const TABLESPACE_MAP_STORED = "tablespace_map.source";
/** Suspect pages that the manifest names; more than these are a dead disk, where names help nobody. */
const SUSPECT_PAGES_NAMED_MAX = 1000;
const MANIFEST_CHANNEL_BYTES = 1024 * 1024;
/** pg_control has this size on every platform. */
const CONTROL_FILE_BYTES = 8192;
const ZEROS = Buffer.alloc(512);
/** A store that fails or hangs may be the very cause of a failure: it isn't waited for any longer. */
const CLEAN_UP_MAX_MS = 10_000;

export interface WalRange {
  readonly timeline: TimelineId;
  readonly start: Lsn;
  readonly stop: Lsn;
}

export interface BaseBackupRequest extends BaseBackupOptions {
  readonly backupId: ObjectId;
  /** Whose WAL goes with it. */
  readonly lineage: LineageId;
  /** The lineage's cluster: a backup of another one is refused. */
  readonly systemId: string;
  readonly target: ReplicationTarget;
  readonly clock: Clock;
  /** Resolves when the repository holds all WAL of the range: only then is the backup committed. */
  readonly waitForWal: (range: WalRange, signal: AbortSignal) => Promise<void>;
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly estimatedBytes: number }) => void;
}

/**
 * Takes a base backup into the repository, volume by volume while it arrives. It is committed by its manifest, after every file was compared with the
 * server's manifest and all its WAL is stored; until then it is invisible, and a failure removes what was written.
 *
 * Memory: about 100 MB for buffers whatever the size, and 40 bytes for each file.
 *
 * @param signal ends it; nothing is committed then
 * @returns the committed manifest; suspect pages are in it and no failure
 * @throws `base_backup_failed`, `lineage_diverged`, and what replication and store throw
 */
export async function captureBaseBackup(
  archive: PhysicalArchive,
  request: BaseBackupRequest,
  signal: AbortSignal,
): Promise<BaseBackupManifest> {
  const abort = new AbortController();
  const anySignal = AbortSignal.any([signal, abort.signal]);
  try {
    const manifest = await receive(archive, request, anySignal);
    const range = { timeline: manifest.range.timeline, start: manifest.range.start, stop: manifest.range.stop };
    await request.waitForWal(range, anySignal);
    await commitBaseBackup(archive, manifest.content, { signal: anySignal });
    return manifest.content;
  } catch (error) {
    abort.abort(error);
    // Best effort, since the failure above is what counts: volumes without a manifest belong to nothing, and a sweep finds them.
    await deleteBaseBackup(archive, request.backupId, AbortSignal.timeout(CLEAN_UP_MAX_MS)).catch(() => undefined);
    throw error;
  }
}

interface ReceivedBackup {
  readonly content: BaseBackupManifest;
  readonly range: WalRange;
}

async function receive(
  archive: PhysicalArchive,
  request: BaseBackupRequest,
  signal: AbortSignal,
): Promise<ReceivedBackup> {
  const startedAt = request.clock.now();
  const connection = await openReplicationConnection(request.target, signal);
  const receiver = new BaseBackupReceiver(archive, request, signal);
  try {
    const { systemId } = await identifySystem(connection);
    if (systemId !== request.systemId)
      throw new TidemarkError(
        "lineage_diverged",
        `Cannot take a base backup: the server is "${systemId}", not "${request.systemId}"`,
      );
    const serverVersion = await showServerVersion(connection);
    for await (const event of baseBackup(connection, request)) await receiver.take(event);
    return await receiver.finish({ serverVersion, startedAt });
  } catch (error) {
    await receiver.close(error instanceof Error ? error : new Error(String(error)));
    signal.throwIfAborted();
    throw error;
  } finally {
    await connection.close();
  }
}

interface BackupStart {
  readonly lsn: Lsn;
  readonly timeline: TimelineId;
  readonly tablespaces: readonly BackupTablespace[];
  readonly estimatedBytes: number;
}

/** From the server's stream into volumes: one file at a time is open. */
class BaseBackupReceiver {
  readonly #archive: PhysicalArchive;
  readonly #request: BaseBackupRequest;
  readonly #signal: AbortSignal;
  readonly #volumes: BaseVolumes;
  readonly #ledger = new FileLedger();
  readonly #suspects: { path: string; page: number }[] = [];
  #suspectCount = 0;
  #start: BackupStart | undefined;
  #end: { readonly lsn: Lsn; readonly timeline: TimelineId } | undefined;
  #pages: PageChecker | undefined;
  #splitter: TarSplitter | undefined;
  #tablespaceOid: string | undefined;
  #manifest: ServerManifest | undefined;
  #entry: TarEntry | undefined;
  #crc = 0;
  #control: { readonly header: Buffer; readonly parts: Buffer[] } | undefined;
  #fileCount = 0;
  #dataBytes = 0;

  constructor(archive: PhysicalArchive, request: BaseBackupRequest, signal: AbortSignal) {
    this.#archive = archive;
    this.#request = request;
    this.#signal = signal;
    this.#volumes = new BaseVolumes((number, plain) =>
      writeBaseVolume(archive, { backupId: request.backupId, number }, plain, { signal }),
    );
  }

  async take(event: BaseBackupEvent): Promise<void> {
    if (event.kind === "data") await this.#data(event.bytes);
    else if (event.kind === "start") this.#begin(event);
    else if (event.kind === "archive") this.#beginArchive(event);
    else if (event.kind === "manifest") this.#beginManifest();
    else if (event.kind === "end") this.#end = event;
    else this.#request.onProgress?.({ ...event, estimatedBytes: this.#start?.estimatedBytes ?? 0 });
  }

  async finish(known: { readonly serverVersion: number; readonly startedAt: Date }): Promise<ReceivedBackup> {
    const [start, end, manifest] = [this.#start, this.#end, this.#manifest];
    assert(start !== undefined && end !== undefined && manifest !== undefined, "the server sent all parts");
    const serverManifest = await manifest.finish();
    this.#ledger.assertEqual();
    const volumes = await this.#volumes.finish();
    const control = this.#readControl();
    const range = { timeline: start.timeline, start: start.lsn, stop: end.lsn };
    const content: BaseBackupManifest = {
      format: 1,
      backupId: this.#request.backupId,
      lineage: this.#request.lineage,
      systemId: control.systemId,
      serverVersion: known.serverVersion,
      segmentSizeBytes: control.walSegmentSize,
      label: this.#request.label,
      timeline: start.timeline,
      startLsn: formatLsn(start.lsn),
      stopTimeline: end.timeline,
      stopLsn: formatLsn(end.lsn),
      startedAt: known.startedAt.toISOString(),
      finishedAt: this.#request.clock.now().toISOString(),
      hasChecksums: control.hasChecksums,
      minimums: control.minimums,
      tablespaces: [...start.tablespaces],
      volumes: [...volumes],
      serverManifest,
      fileCount: this.#fileCount,
      dataBytes: this.#dataBytes,
      suspectPages: {
        count: control.hasChecksums ? this.#suspectCount : 0,
        named: control.hasChecksums ? this.#suspects : [],
      },
    };
    return { content, range };
  }

  async close(reason: Error): Promise<void> {
    this.#manifest?.fail(reason);
    await this.#volumes.close(reason);
  }

  #begin(start: BackupStart): void {
    this.#start = start;
    this.#pages = new PageChecker(start.lsn, (path, page) => {
      this.#suspectCount += 1;
      if (this.#suspects.length < SUSPECT_PAGES_NAMED_MAX) this.#suspects.push({ path: this.#fullPath(path), page });
    });
  }

  #beginArchive(event: { readonly name: string; readonly tablespacePath: string | undefined }): void {
    this.#endArchive();
    this.#tablespaceOid = event.tablespacePath === undefined ? undefined : event.name.replace(/\.tar$/, "");
    this.#volumes.beginArchive(this.#tablespaceOid);
    this.#splitter = new TarSplitter({
      entry: (entry) => this.#beginEntry(entry),
      data: (bytes) => this.#fileData(bytes),
      end: () => this.#endEntry(),
    });
  }

  #endArchive(): void {
    if (this.#splitter === undefined) return;
    this.#splitter.finish();
    this.#splitter = undefined;
    const control = this.#control;
    const isDataFolder = this.#tablespaceOid === undefined;
    if (isDataFolder && control === undefined)
      throw new TidemarkError("base_backup_failed", `Cannot use the base backup: it has no "${CONTROL_FILE_PATH}"`);
    const last = control === undefined ? undefined : { header: control.header, bytes: Buffer.concat(control.parts) };
    this.#volumes.endArchive(isDataFolder ? last : undefined);
  }

  #beginManifest(): void {
    this.#endArchive();
    this.#manifest = new ServerManifest(this.#archive, this.#request.backupId, this.#ledger, this.#signal);
  }

  async #data(bytes: Buffer): Promise<void> {
    if (this.#manifest !== undefined) return this.#manifest.add(bytes);
    this.#splitter?.push(bytes);
    await this.#volumes.whenReady();
  }

  #beginEntry(entry: TarEntry): void {
    this.#entry = entry;
    this.#crc = 0;
    if (entry.type === "folder") return this.#volumes.addFolder(entry.header);
    if (entry.type === "link")
      throw new TidemarkError(
        "base_backup_failed",
        `Cannot use the base backup: "${entry.path.toString("utf8")}" is a symbolic link`,
        {
          hint: "Tablespaces come without links; remove other links from the server's data folder",
        },
      );
    const path = entry.path.toString("latin1");
    this.#pages?.begin(path);
    if (this.#isControlFile(path)) this.#control = { header: entry.header, parts: [] };
    else if (this.#tablespaceOid === undefined && path === TABLESPACE_MAP)
      this.#volumes.addFile(renameTarHeader(entry.header, TABLESPACE_MAP_STORED), entry.sizeBytes);
    else this.#volumes.addFile(entry.header, entry.sizeBytes);
  }

  #fileData(bytes: Buffer): void {
    this.#crc = crc32c(bytes, this.#crc);
    this.#pages?.add(bytes);
    this.#addBytes(bytes);
  }

  #endEntry(): void {
    const entry = this.#entry;
    if (entry?.type !== "file") return;
    this.#addBytes(ZEROS.subarray(0, tarPadding(entry.sizeBytes)));
    this.#ledger.addStored(
      Buffer.from(this.#fullPath(entry.path.toString("latin1")), "latin1"),
      entry.sizeBytes,
      this.#crc,
    );
    this.#fileCount += 1;
    this.#dataBytes += entry.sizeBytes;
    this.#volumes.endFile();
  }

  #addBytes(bytes: Buffer): void {
    if (this.#entry !== undefined && this.#isControlFile(this.#entry.path.toString("latin1")))
      this.#control?.parts.push(Buffer.from(bytes));
    else this.#volumes.add(bytes);
  }

  #isControlFile(path: string): boolean {
    return this.#tablespaceOid === undefined && path === CONTROL_FILE_PATH;
  }

  /** In the data folder, as the server's manifest has it. */
  #fullPath(path: string): string {
    return this.#tablespaceOid === undefined ? path : `pg_tblspc/${this.#tablespaceOid}/${path}`;
  }

  #readControl(): ControlFile {
    const control = parseControlFile(Buffer.concat(this.#control?.parts ?? []).subarray(0, CONTROL_FILE_BYTES));
    if (control.systemId === this.#request.systemId) return control;
    throw new TidemarkError("lineage_diverged", `Cannot use the base backup: its cluster is "${control.systemId}"`);
  }
}

/** PostgreSQL's manifest on its way into the repository, compared with what was stored as it passes. */
class ServerManifest {
  readonly #channel = new BlockChannel(MANIFEST_CHANNEL_BYTES);
  readonly #reader: BackupManifestReader;
  readonly #stored: Promise<StoredBytes>;

  constructor(archive: PhysicalArchive, backupId: ObjectId, ledger: FileLedger, signal: AbortSignal) {
    this.#reader = new BackupManifestReader((file) => ledger.expect(file));
    this.#stored = writeServerManifest(archive, backupId, this.#channel, { signal });
    this.#stored.catch((error: unknown) => this.fail(error instanceof Error ? error : new Error(String(error))));
  }

  async add(bytes: Buffer): Promise<void> {
    this.#reader.push(bytes);
    // Copied: the stream's block is filled again after this call.
    this.#channel.push(Buffer.from(bytes));
    await this.#channel.whenReady();
  }

  async finish(): Promise<StoredBytes> {
    this.#reader.finish();
    this.#channel.finish();
    return this.#stored;
  }

  fail(reason: Error): void {
    this.#channel.fail(reason);
  }
}
