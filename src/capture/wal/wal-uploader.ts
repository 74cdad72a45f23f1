import type { Clock } from "../../core/clock.ts";
import { TidemarkError, asTidemarkError } from "../../core/errors.ts";
import { advanceLsn } from "../../core/lsn.ts";
import type { TimelinePosition } from "../../postgres/timeline-history.ts";
import { type PhysicalArchive, nameMac } from "../../repository/physical-archive.ts";
import type { LineageId, WalPiece } from "../../repository/physical-layout.ts";
import { deleteWalPiece, listSegmentPieces, storeWalPiece } from "../../repository/wal-archive.ts";
import { contiguousBytes } from "../../repository/wal-inventory.ts";
import { WakeList } from "./wake-list.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { type NextPiece, type WeightedPiece, planNextPiece } from "./piece-merge.ts";
import type { SpooledSegment, WalSpool } from "./wal-spool.ts";

/** Waits after failures of the store in a row: short enough to be back within the loss window, long enough not to press a store that is down. */
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 10_000;
/** What an upload holds in memory beside its bytes: an age header, a context, the store's buffers. */
const UPLOAD_OVERHEAD_BYTES = 256 * 1024;
/** However large a piece is, it is compressed block by block: a few blocks of 4 MiB, plain and compressed. */
const UPLOAD_BYTES_MAX = 24 * 1024 * 1024;

export interface WalUploaderOptions {
  readonly archive: PhysicalArchive;
  readonly lineage: LineageId;
  readonly spool: WalSpool;
  readonly clock: Clock;
  /** Least time between the beginnings of two pieces of an open segment. */
  readonly pieceIntervalMs: number;
  /** Shared by all receivers of the process. */
  readonly budget: ByteBudget;
  /** More of the log is durable. */
  readonly onDurable: (end: TimelinePosition) => void;
  /** A segment is stored as a whole, and nothing else of it. */
  readonly onWhole: (piece: WalPiece) => void;
  /** The stored bytes of a segment are not those of the spool. Nothing is uploaded after this. */
  readonly onContradiction: (explanation: string) => void;
  /** The store fails, or (undefined) works again. */
  readonly onStoreError: (error: TidemarkError | undefined) => void;
}

/** The front of the spool, as far as it is known in the store. */
interface Front {
  readonly segment: SpooledSegment;
  /** Pieces that are stored, and whose bytes were compared; in the order of the segment. */
  pieces: WeightedPiece[];
  storedBytes: number;
}

type Work =
  | { readonly kind: "wait for bytes" }
  | { readonly kind: "wait for time"; readonly durationMs: number }
  | { readonly kind: "store"; readonly next: NextPiece; readonly to: number }
  | { readonly kind: "finish" };

/**
 * Takes WAL from the spool into the repository, in its order: pieces of the open segment in short intervals, whole segments when they are full. What is
 * stored already is compared first. A failing store is tried again until it works, or until `close()`.
 */
export class WalUploader {
  readonly #options: WalUploaderOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #front: Front | undefined;
  #durable: TimelinePosition | undefined;
  #lastStoreAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #retryWaitMs = 0;
  #isFlushing = false;
  #isBehindStore = false;
  readonly #changed = new WakeList();
  readonly #idle = new WakeList();

  constructor(options: WalUploaderOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The end of what is durable; undefined until the first segment was compared with the store. */
  get durable(): TimelinePosition | undefined {
    return this.#durable;
  }

  /** Something was added to the spool. */
  notify(): void {
    this.#changed.wakeAll();
  }

  /** Resolves when everything that is in the spool is stored, without waiting for intervals. @throws the signal's reason */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isFlushing = true;
    try {
      this.notify();
      while (!this.#isDrained()) await this.#idle.wait(signal);
    } finally {
      this.#isFlushing = false;
    }
  }

  /** Ends, in mid-upload if need be; nothing half-stored becomes visible. May be called twice. */
  async close(): Promise<void> {
    this.#abort.abort(new TidemarkError("platform_stopping", "The WAL receiver stops"));
    this.notify();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof Contradiction) {
          this.#options.onContradiction(error.message);
          break;
        }
        this.#noteFailure(asTidemarkError(error));
      }
    }
    this.#idle.wakeAll();
  }

  async #step(signal: AbortSignal): Promise<void> {
    if (this.#retryWaitMs > 0) await this.#options.clock.sleep(this.#retryWaitMs, signal);
    this.#retryWaitMs = 0;
    const front = await this.#openFront(signal);
    const work = front === undefined ? ({ kind: "wait for bytes" } as const) : this.#plan(front);
    if (front === undefined || work.kind === "wait for bytes") {
      this.#idle.wakeAll();
      await this.#changed.wait(signal);
    } else if (work.kind === "wait for time") {
      await Promise.race([this.#options.clock.sleep(work.durationMs, signal), this.#changed.wait(signal)]);
    } else if (work.kind === "store") await this.#store(front, work.next, work.to, signal);
    else await this.#finish(front, signal);
    if (this.#failures > 0 && work.kind === "store") {
      this.#failures = 0;
      this.#options.onStoreError(undefined);
    }
  }

  /** The oldest segment, once enough of it was received to compare all that is stored of it. */
  async #openFront(signal: AbortSignal): Promise<Front | undefined> {
    const segment = this.#options.spool.first;
    if (segment === undefined) this.#front = undefined;
    if (segment === undefined || this.#front?.segment === segment) return this.#front;
    const { archive, lineage } = this.#options;
    const { timeline, name } = segment;
    const pieces = await listSegmentPieces(archive, { lineage, timeline, segment: name }, signal);
    const comparedBytes = Math.max(0, ...pieces.map(({ to }) => to));
    await this.#untilComparable(segment, comparedBytes, signal);
    for (const piece of pieces) {
      const mac = await nameMac(archive, this.#options.spool.read(segment, piece.from, piece.to));
      if (mac !== piece.mac) throw new Contradiction(segment, `bytes ${piece.from} to ${piece.to} differ`);
    }
    const known = pieces.toSorted((first, second) => first.from - second.from || first.to - second.to);
    this.#front = {
      segment,
      pieces: known.map((piece) => ({ piece, weight: 1 })),
      storedBytes: contiguousBytes(pieces),
    };
    this.#setDurable(this.#front);
    return this.#front;
  }

  /** Less was received than is stored: nothing of it needs to be stored, and a connection that ends here leaves nothing to drain. */
  async #untilComparable(segment: SpooledSegment, comparedBytes: number, signal: AbortSignal): Promise<void> {
    try {
      while (segment.lengthBytes < comparedBytes) {
        if (segment.isClosed) throw new Contradiction(segment, "more of it is stored than the server has");
        this.#isBehindStore = true;
        this.#idle.wakeAll();
        await this.#changed.wait(signal);
      }
    } finally {
      this.#isBehindStore = false;
    }
  }

  #plan(front: Front): Work {
    const { segment, storedBytes, pieces } = front;
    const to = segment.lengthBytes;
    if (segment.isClosed) {
      const isWhole = pieces.some(({ piece }) => piece.from === 0 && piece.to === to);
      return isWhole ? { kind: "finish" } : { kind: "store", next: { from: 0, weight: 1 }, to };
    }
    if (segment.lengthBytes === storedBytes) return { kind: "wait for bytes" };
    const dueInMs = this.#lastStoreAtMs + this.#options.pieceIntervalMs - this.#nowMs();
    if (dueInMs > 0 && !this.#isFlushing) return { kind: "wait for time", durationMs: dueInMs };
    return { kind: "store", next: planNextPiece(pieces, storedBytes), to };
  }

  async #store(front: Front, { from, weight }: NextPiece, to: number, signal: AbortSignal): Promise<void> {
    const { archive, lineage, spool } = this.#options;
    const { segment } = front;
    this.#lastStoreAtMs = this.#nowMs();
    const place = { lineage, timeline: segment.timeline, segment: segment.name, from, to };
    const sizeBytes = UPLOAD_OVERHEAD_BYTES + Math.min(to - from, UPLOAD_BYTES_MAX);
    const piece = await this.#options.budget.spend(sizeBytes, signal, () =>
      storeWalPiece(archive, place, () => spool.read(segment, from, to), { signal }),
    );
    const isReplaced = (old: WalPiece): boolean => old.from >= from && old.to <= to;
    const replaced = front.pieces.map((old) => old.piece).filter((old) => isReplaced(old) && old.mac !== piece.mac);
    front.pieces = [...front.pieces.filter((old) => !isReplaced(old.piece)), { piece, weight }];
    front.storedBytes = Math.max(front.storedBytes, to);
    this.#setDurable(front);
    // After the piece that replaces them is durable. Left behind by a crash, they are compared and removed next time.
    for (const old of replaced) await deleteWalPiece(archive, old, signal);
  }

  async #finish(front: Front, signal: AbortSignal): Promise<void> {
    this.#setDurable(front);
    // Left behind by a crash between a piece and the removal of what it replaces.
    for (const { piece } of front.pieces)
      if (piece.from > 0 || piece.to < front.segment.lengthBytes)
        await deleteWalPiece(this.#options.archive, piece, signal);
    const whole = front.pieces.find(({ piece }) => piece.from === 0 && piece.to === this.#options.spool.segmentSize);
    if (whole !== undefined) this.#options.onWhole(whole.piece);
    this.#front = undefined;
    await this.#options.spool.removeFirst();
  }

  #setDurable(front: Front): void {
    const { timeline, start } = front.segment;
    this.#durable = { timeline, lsn: advanceLsn(start, front.storedBytes) };
    this.#options.onDurable(this.#durable);
  }

  #noteFailure(error: TidemarkError): void {
    this.#retryWaitMs = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#front = undefined;
    this.#options.onStoreError(error);
  }

  #isDrained(): boolean {
    if (this.#abort.signal.aborted || this.#isBehindStore) return true;
    const segment = this.#options.spool.first;
    if (segment === undefined) return true;
    return this.#front?.segment === segment && !segment.isClosed && this.#front.storedBytes >= segment.lengthBytes;
  }

  #nowMs(): number {
    return this.#options.clock.now().getTime();
  }
}

/** What is stored of a segment is not what the server sent. */
class Contradiction extends Error {
  constructor(segment: SpooledSegment, how: string) {
    super(`segment "${segment.name}" of the server is not the stored one: ${how}`);
  }
}
