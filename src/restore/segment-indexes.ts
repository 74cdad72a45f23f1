import { type ErrorCode, asTidemarkError } from "../core/errors.ts";
import type { SegmentIndex } from "../postgres/wal/segment-index.ts";
import { decodeSegmentIndex } from "../postgres/wal/segment-index-json.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { type StoredSegmentIndex, segmentIndexKey } from "../repository/physical-layout.ts";
import { readSegmentIndex } from "../repository/wal-index.ts";
import type { Branch, BranchSegment } from "./branch.ts";

/** Small objects, whose time is the store's answer: enough to hide it. */
const READS_IN_FLIGHT = 16;
/** Changed, cut or removed meanwhile: then the segment itself is read. */
const UNUSABLE: ReadonlySet<ErrorCode> = new Set([
  "object_corrupt",
  "object_not_found",
  "key_missing",
  "format_too_new",
]);

/** Reads the indexes of segments ahead, in their order. */
export class IndexReader {
  readonly #archive: PhysicalArchive;
  readonly #branch: Branch;
  readonly #rest: Iterator<BranchSegment>;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #reads = new Map<string, Promise<SegmentIndex | undefined>>();

  /** @param segments those that will be asked for, in this order */
  constructor(
    archive: PhysicalArchive,
    branch: Branch,
    segments: readonly BranchSegment[],
    signal: AbortSignal | undefined,
  ) {
    this.#archive = archive;
    this.#branch = branch;
    this.#rest = segments[Symbol.iterator]();
    this.#signal = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
    this.#readAhead();
  }

  /** @returns undefined when the segment has none that can be used @throws what the store throws */
  async of(segment: BranchSegment): Promise<SegmentIndex | undefined> {
    const index = await this.#reads.get(segment.name);
    this.#reads.delete(segment.name);
    this.#readAhead();
    return index;
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.allSettled(this.#reads.values());
  }

  #readAhead(): void {
    while (this.#reads.size < READS_IN_FLIGHT) {
      const next = this.#rest.next();
      if (next.done === true) return;
      const stored = storedIndex(this.#branch, next.value);
      const read = stored === undefined ? Promise.resolve(undefined) : this.#read(stored);
      // Its failure is met when its turn comes.
      read.catch(() => undefined);
      this.#reads.set(next.value.name, read);
    }
  }

  async #read(stored: StoredSegmentIndex): Promise<SegmentIndex | undefined> {
    try {
      const bytes = await readSegmentIndex(this.#archive, stored, this.#signal);
      return decodeSegmentIndex(bytes, segmentIndexKey(this.#archive.prefix, stored));
    } catch (error) {
      if (UNUSABLE.has(asTidemarkError(error).code)) return undefined;
      throw error;
    }
  }
}

/** The index of a whole segment that is stored as one object, and that the branch takes to its end. */
export function storedIndex(
  branch: Branch,
  { name, pieces, usableBytes }: BranchSegment,
): StoredSegmentIndex | undefined {
  const [piece, ...others] = pieces;
  if (piece === undefined || others.length > 0 || usableBytes !== branch.segmentSize) return undefined;
  return branch.indexes.get(name)?.find(({ segmentMac }) => segmentMac === piece.mac);
}
