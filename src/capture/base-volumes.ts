import type { StoredBytes } from "../repository/physical-archive.ts";
import type { BaseBackupVolume } from "../repository/base-backup-set.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import { BlockChannel } from "./block-channel.ts";
import { TAR_BLOCK_BYTES } from "../postgres/tar-splitter.ts";

/** Plain bytes after which a volume ends at the next file: many volumes for parallel work, few objects. */
const VOLUME_TARGET_BYTES = 256 * 1024 * 1024;
/** Bytes of a volume that wait to be compressed. */
const CHANNEL_LIMIT_BYTES = 8 * 1024 * 1024;
/** Volumes in storage at once: while one is being finished (fsync, upload of its last part), the next fills. */
const OPEN_VOLUMES_MAX = 2;
const TAR_END = Buffer.alloc(2 * TAR_BLOCK_BYTES);

/** Stores a volume; resolves when it is durable. */
export type WriteVolume = (number: number, plain: ByteStream) => Promise<StoredBytes>;

interface OpenVolume {
  readonly channel: BlockChannel;
  readonly number: number;
  readonly tablespaceOid: string | undefined;
  readonly isLast: boolean;
  fileCount: number;
  sizeBytes: number;
}

/**
 * Cuts tar entries into volumes of whole files, each a tar archive of its own, and hands them on while they fill. The last volume of an archive holds
 * all of its folders, so that empty ones are carried, and whatever must be restored last.
 */
export class BaseVolumes {
  readonly #write: WriteVolume;
  readonly #finished: BaseBackupVolume[] = [];
  readonly #writing = new Set<Promise<void>>();
  #current: OpenVolume | undefined;
  #folders: Buffer[] = [];
  #tablespaceOid: string | undefined;
  #nextNumber = 1;
  #failure: Error | undefined;

  constructor(write: WriteVolume) {
    this.#write = write;
  }

  /** Begins an archive; the one before must have been ended. */
  beginArchive(tablespaceOid: string | undefined): void {
    this.#tablespaceOid = tablespaceOid;
    this.#folders = [];
  }

  addFolder(header: Buffer): void {
    this.#folders.push(header);
  }

  /**
   * Begins a file; its data and padding follow by `add`.
   *
   * @param sizeBytes of the file
   */
  addFile(header: Buffer, sizeBytes: number): void {
    const volume = this.#current ?? this.#open(false);
    volume.fileCount += 1;
    volume.sizeBytes += sizeBytes;
    volume.channel.push(header);
  }

  add(bytes: Uint8Array): void {
    this.#current?.channel.push(bytes);
  }

  /** Between two files: ends the volume when it has its size. */
  endFile(): void {
    if (this.#current !== undefined && this.#current.sizeBytes >= VOLUME_TARGET_BYTES) this.#close();
  }

  /** Resolves when more bytes may come; rejects when a volume can't be stored. */
  async whenReady(): Promise<void> {
    while (this.#writing.size >= OPEN_VOLUMES_MAX && this.#current === undefined && this.#failure === undefined)
      await Promise.race(this.#writing);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#current?.channel.whenReady();
  }

  /**
   * Ends the archive with its last volume.
   *
   * @param last a file to be restored after everything else: its header and bytes with padding
   */
  endArchive(last: { readonly header: Buffer; readonly bytes: Buffer } | undefined): void {
    this.#close();
    if (this.#folders.length === 0 && last === undefined) return;
    const volume = this.#open(true);
    for (const folder of this.#folders) volume.channel.push(folder);
    if (last !== undefined) {
      volume.fileCount = 1;
      volume.channel.push(last.header);
      volume.channel.push(last.bytes);
    }
    this.#close();
  }

  /** Waits until all volumes are durable. @returns them in the order of their numbers */
  async finish(): Promise<readonly BaseBackupVolume[]> {
    await Promise.all(this.#writing);
    if (this.#failure !== undefined) throw this.#failure;
    return this.#finished.toSorted((first, second) => first.number - second.number);
  }

  /** Ends everything that is being stored; resolves when nothing is being written any more. */
  async close(reason: Error): Promise<void> {
    this.#failure ??= reason;
    this.#current?.channel.fail(reason);
    this.#current = undefined;
    await Promise.allSettled(this.#writing);
  }

  #open(isLast: boolean): OpenVolume {
    const volume: OpenVolume = {
      channel: new BlockChannel(CHANNEL_LIMIT_BYTES),
      number: this.#nextNumber++,
      tablespaceOid: this.#tablespaceOid,
      isLast,
      fileCount: 0,
      sizeBytes: 0,
    };
    this.#current = volume;
    const writing = this.#store(volume).catch((error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      volume.channel.fail(this.#failure);
    });
    this.#writing.add(writing);
    void writing.finally(() => this.#writing.delete(writing));
    return volume;
  }

  async #store(volume: OpenVolume): Promise<void> {
    const stored = await this.#write(volume.number, volume.channel);
    this.#finished.push({
      number: volume.number,
      ...(volume.tablespaceOid === undefined ? {} : { tablespaceOid: volume.tablespaceOid }),
      isLast: volume.isLast,
      fileCount: volume.fileCount,
      ...stored,
    });
  }

  #close(): void {
    this.#current?.channel.push(TAR_END);
    this.#current?.channel.finish();
    this.#current = undefined;
  }
}
