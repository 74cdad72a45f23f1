import { FRAME_BYTES, type FrameSource, type StoredBytes } from "../repository/physical-archive.ts";
import type { BaseBackupVolume } from "../repository/base-backup-set.ts";
import { BlockChannel } from "./block-channel.ts";
import { TAR_BLOCK_BYTES } from "../postgres/tar-splitter.ts";

/** Plain bytes after which a volume ends at the next file: many volumes for parallel work, few objects. */
const VOLUME_TARGET_BYTES = 256 * 1024 * 1024;
/** Bytes of a volume that wait to be compressed: one block, while the next one fills. */
const CHANNEL_LIMIT_BYTES = FRAME_BYTES;
/** Volumes in storage at once: while one is being finished (fsync, upload of its last part), the next fills. */
const OPEN_VOLUMES_MAX = 2;
const TAR_END = Buffer.alloc(2 * TAR_BLOCK_BYTES);

/** Stores a volume; resolves when it is durable. */
export type WriteVolume = (number: number, plain: FrameSource) => Promise<StoredBytes>;

interface OpenVolume {
  readonly channel: BlockChannel;
  readonly number: number;
  readonly tablespaceOid: string | undefined;
  readonly isLast: boolean;
  fileCount: number;
  sizeBytes: number;
  /** Filled up to `blockLength`. */
  block: Buffer;
  blockLength: number;
}

/**
 * Cuts tar entries into volumes of whole files, each a tar archive of its own, and hands them on while they fill. The last volume of an archive holds
 * all of its folders, so that empty ones are carried, and whatever must be restored last.
 */
export class BaseVolumes {
  readonly #write: WriteVolume;
  readonly #finished: BaseBackupVolume[] = [];
  readonly #writing = new Set<Promise<void>>();
  /** Blocks to be filled again: fresh ones would keep the garbage collector busy. */
  readonly #spare: Buffer[] = [];
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
    this.#append(volume, header);
  }

  /** @param bytes copied before the call returns */
  add(bytes: Uint8Array): void {
    if (this.#current !== undefined) this.#append(this.#current, bytes);
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
    for (const folder of this.#folders) this.#append(volume, folder);
    if (last !== undefined) {
      volume.fileCount = 1;
      this.#append(volume, last.header);
      this.#append(volume, last.bytes);
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
      block: this.#takeBlock(),
      blockLength: 0,
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
    const stored = await this.#write(volume.number, {
      blocks: volume.channel,
      release: (block) => void this.#spare.push(Buffer.from(block.buffer)),
    });
    this.#finished.push({
      number: volume.number,
      ...(volume.tablespaceOid === undefined ? {} : { tablespaceOid: volume.tablespaceOid }),
      isLast: volume.isLast,
      fileCount: volume.fileCount,
      ...stored,
    });
  }

  #append(volume: OpenVolume, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, FRAME_BYTES - volume.blockLength);
      volume.block.set(bytes.subarray(at, at + length), volume.blockLength);
      volume.blockLength += length;
      at += length;
      if (volume.blockLength < FRAME_BYTES) continue;
      volume.channel.push(volume.block);
      volume.block = this.#takeBlock();
      volume.blockLength = 0;
    }
  }

  #takeBlock(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(FRAME_BYTES);
  }

  #close(): void {
    const volume = this.#current;
    if (volume === undefined) return;
    this.#append(volume, TAR_END);
    volume.channel.push(volume.block.subarray(0, volume.blockLength));
    volume.channel.finish();
    this.#current = undefined;
  }
}
