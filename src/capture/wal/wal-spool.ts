import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../core/assert.ts";
import { TidemarkError, systemErrorCode } from "../../core/errors.ts";
import {
  type Lsn,
  type SegmentName,
  type TimelineId,
  type WalSegmentSize,
  advanceLsn,
  segmentName,
  segmentOffset,
} from "../../core/lsn.ts";
import { WakeList } from "./wake-list.ts";

const READ_BLOCK_BYTES = 1024 * 1024;

/** A segment in the spool; filled from its start, without a hole. */
export interface SpooledSegment {
  readonly timeline: TimelineId;
  readonly name: SegmentName;
  readonly start: Lsn;
  /** Bytes received so far. */
  readonly lengthBytes: number;
  /** No more bytes come: it is full, or its timeline ended in it. */
  readonly isClosed: boolean;
}

interface OpenSegment extends SpooledSegment {
  lengthBytes: number;
  isClosed: boolean;
  readonly file: FileHandle;
}

/**
 * WAL between the socket and the repository, in files of one folder: bounded, and worth nothing after a restart, since the server keeps whatever the
 * repository doesn't have. One writer appends in the order of the log, one reader takes from the front.
 */
export class WalSpool {
  readonly segmentSize: WalSegmentSize;
  readonly #folder: string;
  readonly #limitBytes: number;
  readonly #segments: OpenSegment[] = [];
  #sizeBytes = 0;
  readonly #removed = new WakeList();

  /** Use `openWalSpool`. */
  constructor(folder: string, segmentSize: WalSegmentSize, limitBytes: number) {
    this.#folder = folder;
    this.segmentSize = segmentSize;
    this.#limitBytes = Math.max(limitBytes, 2 * segmentSize);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get isFull(): boolean {
    return this.#sizeBytes >= this.#limitBytes;
  }

  /** Whether enough has left for a connection to be worth its while. */
  get isHalfEmpty(): boolean {
    return this.#sizeBytes <= this.#limitBytes / 2;
  }

  /** The oldest segment; undefined when there is none. */
  get first(): SpooledSegment | undefined {
    return this.#segments[0];
  }

  /**
   * Adds bytes where the last ones ended, or at the start of a segment. They may cross into the next segment.
   *
   * @throws `disk_full`
   */
  async append(timeline: TimelineId, start: Lsn, bytes: Buffer): Promise<void> {
    let at = start;
    let from = 0;
    while (from < bytes.length) {
      const segment = await this.#segmentFor(timeline, at);
      const length = Math.min(bytes.length - from, this.segmentSize - segment.lengthBytes);
      await this.#write(segment, bytes.subarray(from, from + length));
      segment.lengthBytes += length;
      segment.isClosed = segment.lengthBytes === this.segmentSize;
      this.#sizeBytes += length;
      from += length;
      at = advanceLsn(at, length);
    }
  }

  /** The timeline ended: its last segment gets no more bytes. */
  closeTimeline(): void {
    const last = this.#segments.at(-1);
    if (last !== undefined) last.isClosed = true;
  }

  /** Bytes of a segment that is in the spool; to be read while it is. */
  async *read(segment: SpooledSegment, from: number, to: number): AsyncGenerator<Buffer> {
    const source = this.#segments.find(({ name }) => name === segment.name);
    assert(source !== undefined && to <= source.lengthBytes, "the spool holds what is read from it");
    for (let at = from; at < to; at += READ_BLOCK_BYTES) {
      const block = Buffer.allocUnsafe(Math.min(READ_BLOCK_BYTES, to - at));
      let done = 0;
      while (done < block.length) {
        const { bytesRead } = await source.file.read(block, done, block.length - done, at + done);
        assert(bytesRead > 0, "a spooled segment is as long as what was written");
        done += bytesRead;
      }
      yield block;
    }
  }

  /** Removes the oldest segment: it is in the repository. */
  async removeFirst(): Promise<void> {
    const segment = this.#segments.shift();
    if (segment === undefined) return;
    this.#sizeBytes -= segment.lengthBytes;
    this.#removed.wakeAll();
    await segment.file.close();
    await rm(this.#path(segment), { force: true });
  }

  /** Removes everything. */
  async clear(): Promise<void> {
    while (this.#segments.length > 0) await this.removeFirst();
  }

  /** Resolves when `condition` holds, which is looked at whenever something was removed. @throws the signal's reason */
  async when(condition: (spool: WalSpool) => boolean, signal: AbortSignal): Promise<void> {
    while (!condition(this)) await this.#removed.wait(signal);
    signal.throwIfAborted();
  }

  /** Removes everything, the folder included. May be called twice. */
  async close(): Promise<void> {
    await this.clear();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #segmentFor(timeline: TimelineId, at: Lsn): Promise<OpenSegment> {
    const last = this.#segments.at(-1);
    const offset = segmentOffset(at, this.segmentSize);
    if (last !== undefined && !last.isClosed) {
      const end = advanceLsn(last.start, last.lengthBytes);
      assert(last.timeline === timeline && end === at, "WAL is spooled in its order");
      return last;
    }
    assert(offset === 0, "a segment is spooled from its start");
    const name = segmentName(timeline, at, this.segmentSize);
    // Plain WAL: nobody else may read it.
    const file = await open(join(this.#folder, name), "w+", 0o600);
    const segment = { timeline, name, start: at, lengthBytes: 0, isClosed: false, file };
    this.#segments.push(segment);
    return segment;
  }

  async #write(segment: OpenSegment, bytes: Buffer): Promise<void> {
    let done = 0;
    try {
      while (done < bytes.length) {
        const position = segment.lengthBytes + done;
        done += (await segment.file.write(bytes, done, bytes.length - done, position)).bytesWritten;
      }
    } catch (error) {
      if (systemErrorCode(error) !== "ENOSPC") throw error;
      throw new TidemarkError("disk_full", `Cannot spool write-ahead log in "${this.#folder}": the disk is full`, {
        hint: "Free disk space on the machine of this worker; the database server keeps the log meanwhile",
        cause: error,
      });
    }
  }

  #path(segment: SpooledSegment): string {
    return join(this.#folder, segment.name);
  }
}

/**
 * Makes an empty spool; what a dead process left in the folder is removed.
 *
 * @param folder its own, made with mode 0700
 * @param limitBytes two segments at least
 */
export async function openWalSpool(folder: string, segmentSize: WalSegmentSize, limitBytes: number): Promise<WalSpool> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return new WalSpool(folder, segmentSize, limitBytes);
}
