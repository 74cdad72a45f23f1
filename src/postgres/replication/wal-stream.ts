import type { Connection } from "pg";
import { TidemarkError } from "../../core/errors.ts";
import { type Lsn, type TimelineId, formatLsn, parseLsn, toLsn, toTimelineId } from "../../core/lsn.ts";
import { checkSlotName } from "./commands.ts";
import type { ReplicationConnection } from "./replication-connection.ts";
import { toReplicationError } from "./replication-error.ts";
import {
  type CopyDataMessage,
  type DataRowMessage,
  type WireCommand,
  type WireConnection,
  toWireConnection,
} from "./wire-connection.ts";

/** PostgreSQL counts microseconds from 2000-01-01, which is this many after 1970-01-01. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n;
const WAL_HEADER_BYTES = 25;
const KEEPALIVE_BYTES = 18;
const STATUS_BYTES = 34;

export interface WalStreamOptions {
  readonly slotName: string;
  readonly start: Lsn;
  readonly timeline: TimelineId;
}

/** Called in the order of the stream, from the socket's own callback: return quickly, and hold back by `pause()`. */
export interface WalSink {
  /** The server accepted the command. Not yet success: a missing segment is reported after it. */
  started(): void;
  /**
   * @param start position of the first byte
   * @param bytes at most 128 KiB, cut anywhere; the receiver owns them
   */
  wal(start: Lsn, bytes: Buffer): void;
  /** @param sentUpTo what the server has sent, which proves nothing about what it has committed */
  keepalive(sentUpTo: Lsn, replyRequested: boolean): void;
}

export type WalStreamEnd =
  /** The timeline ended at a switch; the connection takes the next command. */
  | { readonly kind: "timelineEnd"; readonly nextTimeline: TimelineId; readonly nextStart: Lsn }
  /** The server has sent all it will: it is stopping, or we asked it to finish. */
  | { readonly kind: "finished" };

/** Positions of a standby status update. 0 for `flushed` leaves the slot where it is. */
export interface StandbyStatus {
  readonly written: Lsn;
  readonly flushed: Lsn;
  readonly now: Date;
  readonly replyRequested: boolean;
}

/** A running START_REPLICATION. It ends by itself, by `finish()`, or with its connection. */
export class WalStream {
  readonly #command: WalStreamCommand;

  /** Use `startWalStream`. */
  constructor(command: WalStreamCommand) {
    this.#command = command;
  }

  /** Resolves when the server ends the stream; rejects with `wal_removed`, `server_unreachable`, `replication_failed`. */
  get ended(): Promise<WalStreamEnd> {
    return this.#command.ended;
  }

  /** No effect once the stream has ended. */
  sendStatus(status: StandbyStatus): void {
    this.#command.send(encodeStandbyStatus(status));
  }

  /** Stops reading the socket; what was read already (64 KiB or a message) still arrives. */
  pause(): void {
    this.#command.setPaused(true);
  }

  resume(): void {
    this.#command.setPaused(false);
  }

  /** Asks the server to end the stream. */
  finish(): void {
    this.#command.finish();
  }
}

/**
 * START_REPLICATION ... PHYSICAL on a slot.
 *
 * @param sink gets the messages
 * @returns the stream; its `ended` says how it ends
 * @throws `bad_request` for a slot name that PostgreSQL would not take
 */
export function startWalStream(connection: ReplicationConnection, options: WalStreamOptions, sink: WalSink): WalStream {
  const { slotName, start, timeline } = options;
  const text = `START_REPLICATION SLOT ${checkSlotName(slotName)} PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`;
  const command = new WalStreamCommand(text, sink);
  connection.submit(command, command.operation);
  return new WalStream(command);
}

/** A standby status update, as the body of a CopyData message. */
export function encodeStandbyStatus(status: StandbyStatus): Buffer {
  const message = Buffer.alloc(STATUS_BYTES);
  message.write("r", 0, "latin1");
  message.writeBigUInt64BE(status.written, 1);
  message.writeBigUInt64BE(status.flushed, 9);
  // "Applied" is a standby's; an archive replays nothing.
  message.writeBigUInt64BE(0n, 17);
  message.writeBigInt64BE(BigInt(status.now.getTime()) * 1000n - POSTGRES_EPOCH_US, 25);
  message.writeUInt8(status.replyRequested ? 1 : 0, 33);
  return message;
}

class WalStreamCommand implements WireCommand {
  readonly ended: Promise<WalStreamEnd>;
  readonly operation = "Cannot stream write-ahead log";
  readonly #text: string;
  readonly #sink: WalSink;
  readonly #resolve: (end: WalStreamEnd) => void;
  readonly #reject: (error: Error) => void;
  #wire: WireConnection | undefined;
  #isOver = false;
  #askedToFinish = false;
  #next: readonly (string | null)[] | undefined;

  constructor(text: string, sink: WalSink) {
    this.#text = text;
    this.#sink = sink;
    const { promise, resolve, reject } = Promise.withResolvers<WalStreamEnd>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    // The owner may look at it later than it fails.
    promise.catch(() => undefined);
  }

  submit(connection: Connection): void {
    this.#wire = toWireConnection(connection);
    this.#wire.on("replicationStart", this.#onStart);
    this.#wire.on("copyDone", this.#onCopyDone);
    this.#wire.query(this.#text);
  }

  send(message: Buffer): void {
    if (!this.#isOver && !this.#askedToFinish) this.#wire?.sendCopyFromChunk(message);
  }

  setPaused(paused: boolean): void {
    if (paused && !this.#isOver) this.#wire?.stream.pause();
    else this.#wire?.stream.resume();
  }

  finish(): void {
    if (this.#isOver || this.#askedToFinish) return;
    this.#askedToFinish = true;
    this.#wire?.endCopyFrom();
  }

  handleRowDescription(): void {
    // One result set is possible: where the next timeline begins.
  }

  handleDataRow(message: DataRowMessage): void {
    this.#next = message.fields;
  }

  handleCopyData(message: CopyDataMessage): void {
    if (this.#isOver) return;
    try {
      this.#message(message.chunk);
    } catch (error) {
      this.handleError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  handleCommandComplete(): void {
    // A stopping server says this and closes the connection, without ReadyForQuery.
    if (this.#next === undefined) this.#end({ kind: "finished" });
  }

  handleReadyForQuery(): void {
    const [timeline, lsn] = this.#next ?? [];
    if (!timeline || !lsn) return this.#end({ kind: "finished" });
    try {
      this.#end({ kind: "timelineEnd", nextTimeline: toTimelineId(Number(timeline)), nextStart: parseLsn(lsn) });
    } catch (error) {
      this.handleError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  handleError(error: Error): void {
    this.#close();
    this.#reject(toReplicationError(error, this.operation));
  }

  readonly #onStart = (): void => this.#sink.started();

  /** The server has nothing more on this timeline: it waits for our CopyDone before it tells the next one. */
  readonly #onCopyDone = (): void => {
    if (!this.#askedToFinish) this.#wire?.endCopyFrom();
    this.#askedToFinish = true;
  };

  #message(chunk: Uint8Array): void {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const kind = String.fromCharCode(view[0] ?? 0);
    if (kind === "w" && view.length >= WAL_HEADER_BYTES) {
      // Copied here: the parser overwrites its buffer after this call.
      this.#sink.wal(toLsn(view.readBigUInt64BE(1)), Buffer.from(view.subarray(WAL_HEADER_BYTES)));
    } else if (kind === "k" && view.length >= KEEPALIVE_BYTES) {
      this.#sink.keepalive(toLsn(view.readBigUInt64BE(1)), view[17] === 1);
    } else {
      throw new TidemarkError(
        "replication_failed",
        `${this.operation}: the server sent a message of unknown kind "${kind}"`,
      );
    }
  }

  #end(end: WalStreamEnd): void {
    if (this.#isOver) return;
    this.#close();
    this.#resolve(end);
  }

  #close(): void {
    this.#isOver = true;
    this.#wire?.off("replicationStart", this.#onStart);
    this.#wire?.off("copyDone", this.#onCopyDone);
    this.#wire?.stream.resume();
  }
}
