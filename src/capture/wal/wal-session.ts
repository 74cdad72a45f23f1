import type { Clock } from "../../core/clock.ts";
import { TidemarkError } from "../../core/errors.ts";
import { type Lsn, LSN_ZERO, advanceLsn, segmentStart } from "../../core/lsn.ts";
import type { ReplicationConnection } from "../../postgres/replication/replication-connection.ts";
import { type WalStream, type WalStreamEnd, startWalStream } from "../../postgres/replication/wal-stream.ts";
import type { TimelinePosition } from "../../postgres/timeline-history.ts";
import { acknowledge } from "./acknowledgement.ts";
import { WakeList } from "./wake-list.ts";
import type { WalSpool } from "./wal-spool.ts";

/** Received but not yet spooled: a few messages keep disk and socket busy at once. */
const PENDING_PAUSE_BYTES = 1024 * 1024;
const PENDING_RESUME_BYTES = 256 * 1024;
/** Joined for one write and one look at the records. */
const BATCH_BYTES = 512 * 1024;
/** The server cuts a silent standby at wal_sender_timeout; a second is far below any sensible value and costs 34 bytes. */
export const STATUS_INTERVAL_MS = 1000;
/** A held socket keeps a stopping server waiting, and hides that it is stopping: after this the connection is let go. */
const PAUSE_MAX_MS = 1500;
/** A stopping server asks as fast as it is answered, which is a busy loop on both sides without a limit: 20 answers a second. */
const REPLY_INTERVAL_MS = 50;
/** So many questions in a row about the same end, each answered: the server waits for something else, so it is let go. */
const REPLIES_TO_SAME_END_MAX = 40;
/** Every status asks for an answer, so a server that says nothing for so long is gone. */
const SILENCE_MAX_MS = 15_000;

export interface WalSessionOptions {
  readonly connection: ReplicationConnection;
  readonly slotName: string;
  readonly from: TimelinePosition;
  /** The slot is not moved below this. */
  readonly reported: Lsn;
  readonly spool: WalSpool;
  readonly clock: Clock;
  /** The end of what is durable, undefined while unknown. */
  readonly durable: () => TimelinePosition | undefined;
  /** The first message came. */
  readonly onAlive: () => void;
  /** Bytes were spooled. */
  readonly onSpooled: (start: Lsn, bytes: Buffer) => void;
}

export type WalSessionEnd = WalStreamEnd | { readonly kind: "held back" };

/**
 * One run of START_REPLICATION: from the socket into the spool, with acknowledgements on a timer whatever the store does. Bytes wait in memory only
 * while the spool takes them; when it doesn't, the socket is held, and after a while let go.
 */
export class WalSession {
  /** Resolves when the stream ended and everything received is in the spool. Rejects when the connection broke, or the spool. */
  readonly ended: Promise<WalSessionEnd>;
  readonly #options: WalSessionOptions;
  readonly #stream: WalStream;
  readonly #abort = new AbortController();
  readonly #arrived = new WakeList();
  /** Something is due earlier than the next status. */
  readonly #due = new WakeList();
  #pending: { readonly start: Lsn; readonly bytes: Buffer }[] = [];
  #pendingBytes = 0;
  #received: Lsn;
  #reported: Lsn;
  #pausedAtMs: number | undefined;
  #heardAtMs: number;
  #repliedAtMs = 0;
  #isReplyDue = false;
  #sameEnd: { readonly lsn: Lsn; count: number } = { lsn: LSN_ZERO, count: 0 };
  #isStreamOver = false;
  #isAlive = false;

  constructor(options: WalSessionOptions) {
    this.#options = options;
    this.#received = segmentStart(options.from.lsn, options.spool.segmentSize);
    this.#reported = options.reported;
    this.#heardAtMs = this.#nowMs();
    this.#stream = startWalStream(
      options.connection,
      { slotName: options.slotName, start: this.#received, timeline: options.from.timeline },
      {
        started: () => this.#sendStatus(true),
        wal: (start, bytes) => this.#takeWal(start, bytes),
        keepalive: (sentUpTo, isReplyWanted) => this.#takeKeepalive(sentUpTo, isReplyWanted),
      },
    );
    this.ended = this.#run();
    this.ended.catch(() => undefined);
  }

  /** End of what was received, on this session's timeline. */
  get received(): Lsn {
    return this.#received;
  }

  get isHeld(): boolean {
    return this.#pausedAtMs !== undefined;
  }

  /** More is durable: told to the server at once, so that it can remove WAL. */
  noteDurable(): void {
    const durable = this.#durableHere();
    if (durable > this.#reported && durable <= this.#received) this.#sendStatus(false);
  }

  /** Stops; what was received and not spooled is dropped, since it was never acknowledged. */
  async close(): Promise<void> {
    this.#abort.abort(new TidemarkError("platform_stopping", "The WAL stream is closed"));
    await this.#options.connection.close();
    await this.ended.catch(() => undefined);
  }

  async #run(): Promise<WalSessionEnd> {
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, stop.signal]);
    const over = this.#stream.ended.finally(() => {
      this.#isStreamOver = true;
      this.#arrived.wakeAll();
    });
    over.catch(() => undefined);
    const watching = this.#watch(signal);
    const spooling = this.#spoolAll(signal);
    try {
      const first = await Promise.race([watching, spooling.then(() => over)]);
      if (first.kind === "timelineEnd") this.#options.spool.closeTimeline();
      return first;
    } finally {
      stop.abort(new TidemarkError("platform_stopping", "The WAL stream ended"));
      await Promise.allSettled([watching, spooling]);
    }
  }

  /** Status on a timer, also while the socket is held; ends when the session should be given up. */
  async #watch(signal: AbortSignal): Promise<WalSessionEnd> {
    let nextStatusAtMs = this.#nowMs() + STATUS_INTERVAL_MS;
    for (;;) {
      await this.#untilDue(nextStatusAtMs, signal);
      const now = this.#nowMs();
      if (this.#isReplyDue && now - this.#repliedAtMs >= REPLY_INTERVAL_MS) this.#sendStatus(false);
      if (now >= nextStatusAtMs) {
        this.#sendStatus(true);
        nextStatusAtMs = now + STATUS_INTERVAL_MS;
      }
      if (this.#pausedAtMs !== undefined && now - this.#pausedAtMs >= PAUSE_MAX_MS) return { kind: "held back" };
      if (this.#pausedAtMs === undefined && now - this.#heardAtMs > SILENCE_MAX_MS)
        throw new TidemarkError("server_unreachable", `The server said nothing for ${SILENCE_MAX_MS} ms`);
      if (this.#sameEnd.count > REPLIES_TO_SAME_END_MAX) return { kind: "finished" };
    }
  }

  async #untilDue(nextStatusAtMs: number, signal: AbortSignal): Promise<void> {
    const dueAtMs = Math.min(
      nextStatusAtMs,
      this.#isReplyDue ? this.#repliedAtMs + REPLY_INTERVAL_MS : Number.POSITIVE_INFINITY,
      this.#pausedAtMs === undefined ? Number.POSITIVE_INFINITY : this.#pausedAtMs + PAUSE_MAX_MS,
    );
    const waitMs = Math.max(1, dueAtMs - this.#nowMs());
    await Promise.race([this.#options.clock.sleep(waitMs, signal), this.#due.wait(signal)]);
  }

  /** Moves what arrived into the spool, in order, until the stream is over and nothing is left. */
  async #spoolAll(signal: AbortSignal): Promise<void> {
    const { spool, from } = this.#options;
    for (;;) {
      const batch = this.#takeBatch();
      if (batch === undefined) {
        if (this.#isStreamOver) return;
        await this.#arrived.wait(signal);
        continue;
      }
      await spool.when(({ isFull }) => !isFull, signal);
      await spool.append(from.timeline, batch.start, batch.bytes);
      this.#pendingBytes -= batch.bytes.length;
      if (this.#pausedAtMs !== undefined && this.#pendingBytes < PENDING_RESUME_BYTES) this.#resume();
      this.#options.onSpooled(batch.start, batch.bytes);
    }
  }

  #takeBatch(): { readonly start: Lsn; readonly bytes: Buffer } | undefined {
    const [first] = this.#pending;
    if (first === undefined) return undefined;
    let count = 0;
    let sizeBytes = 0;
    for (const { bytes } of this.#pending) {
      if (count > 0 && sizeBytes + bytes.length > BATCH_BYTES) break;
      sizeBytes += bytes.length;
      count += 1;
    }
    const taken = this.#pending.splice(0, count);
    return { start: first.start, bytes: count === 1 ? first.bytes : Buffer.concat(taken.map(({ bytes }) => bytes)) };
  }

  #takeWal(start: Lsn, bytes: Buffer): void {
    if (start !== this.#received)
      throw new TidemarkError("replication_failed", "Cannot stream write-ahead log: the server left out a part of it");
    this.#hear();
    this.#received = advanceLsn(start, bytes.length);
    this.#pending.push({ start, bytes });
    this.#pendingBytes += bytes.length;
    this.#sameEnd = { lsn: LSN_ZERO, count: 0 };
    if (this.#pausedAtMs === undefined && this.#pendingBytes > PENDING_PAUSE_BYTES) this.#pause();
    this.#arrived.wakeAll();
  }

  #takeKeepalive(sentUpTo: Lsn, isReplyWanted: boolean): void {
    this.#hear();
    if (!isReplyWanted) return;
    this.#sameEnd = { lsn: sentUpTo, count: this.#sameEnd.lsn === sentUpTo ? this.#sameEnd.count + 1 : 1 };
    // At most so often; the timer answers the rest.
    if (this.#heardAtMs - this.#repliedAtMs >= REPLY_INTERVAL_MS) this.#sendStatus(false);
    else if (!this.#isReplyDue) {
      this.#isReplyDue = true;
      this.#due.wakeAll();
    }
  }

  #hear(): void {
    this.#heardAtMs = this.#nowMs();
    if (this.#isAlive) return;
    this.#isAlive = true;
    this.#options.onAlive();
  }

  #sendStatus(replyRequested: boolean): void {
    const now = this.#options.clock.now();
    const facts = { received: this.#received, durable: this.#durableHere(), reported: this.#reported };
    for (const positions of acknowledge(facts)) {
      this.#stream.sendStatus({ ...positions, now, replyRequested });
      if (positions.flushed !== LSN_ZERO) this.#reported = positions.flushed;
    }
    this.#repliedAtMs = now.getTime();
    this.#isReplyDue = false;
  }

  /** 0 while what is durable belongs to an earlier timeline. */
  #durableHere(): Lsn {
    const durable = this.#options.durable();
    return durable?.timeline === this.#options.from.timeline ? durable.lsn : LSN_ZERO;
  }

  #pause(): void {
    this.#pausedAtMs = this.#nowMs();
    this.#stream.pause();
    this.#due.wakeAll();
  }

  #resume(): void {
    this.#pausedAtMs = undefined;
    this.#heardAtMs = this.#nowMs();
    this.#stream.resume();
  }

  #nowMs(): number {
    return this.#options.clock.now().getTime();
  }
}
