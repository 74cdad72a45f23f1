import { type SegmentName, type TimelineId, type Lsn, type WalSegmentSize, segmentName } from "../../core/lsn.ts";
import { encodeSegmentIndex } from "../../postgres/wal/segment-index-json.ts";
import type { SegmentIndex } from "../../postgres/wal/segment-index.ts";
import type { PhysicalArchive } from "../../repository/physical-archive.ts";
import type { WalPiece } from "../../repository/physical-layout.ts";
import { storeSegmentIndex } from "../../repository/wal-index.ts";

/** Segments of which one half is known: as many as the spool of a lagging store holds, and some more. */
const WAITING_MAX = 64;

interface Known {
  readonly index?: SegmentIndex;
  readonly piece?: WalPiece;
}

/**
 * Stores the indexes of whole segments: once a segment is stored whole, and all records that begin in it have passed. Best effort, on purpose: nothing waits
 * for it, and a segment without an index is read instead. So it neither tries again nor reports; a failing store is the uploader's to report.
 */
export class WalIndexer {
  readonly #archive: PhysicalArchive;
  readonly #segmentSize: WalSegmentSize;
  readonly #abort = new AbortController();
  readonly #waiting = new Map<SegmentName, Known>();
  #work: Promise<void> = Promise.resolve();

  constructor(archive: PhysicalArchive, segmentSize: WalSegmentSize) {
    this.#archive = archive;
    this.#segmentSize = segmentSize;
  }

  noteIndex(timeline: TimelineId, start: Lsn, index: SegmentIndex): void {
    this.#join(segmentName(timeline, start, this.#segmentSize), { index });
  }

  noteWhole(piece: WalPiece): void {
    this.#join(piece.segment, { piece });
  }

  /** Gives up what isn't stored yet. May be called twice. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#work;
  }

  #join(name: SegmentName, news: Known): void {
    const { index, piece } = { ...this.#waiting.get(name), ...news };
    this.#waiting.delete(name);
    if (index !== undefined && piece !== undefined) {
      this.#work = this.#work.then(() => this.#store(piece, index));
      return;
    }
    this.#waiting.set(name, news);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX && oldest !== undefined) this.#waiting.delete(oldest);
  }

  async #store({ lineage, timeline, segment, mac }: WalPiece, index: SegmentIndex): Promise<void> {
    const place = { lineage, timeline, segment, segmentMac: mac };
    const call = { signal: this.#abort.signal };
    await storeSegmentIndex(this.#archive, place, encodeSegmentIndex(index), call).catch(() => undefined);
  }
}
