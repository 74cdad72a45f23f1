import type { Connection } from "pg";
import { TidemarkError } from "../../core/errors.ts";
import { type Lsn, type TimelineId, parseLsn, toTimelineId } from "../../core/lsn.ts";
import { EventQueue } from "./event-queue.ts";
import type { ReplicationConnection } from "./replication-connection.ts";
import { toReplicationError } from "./replication-error.ts";
import {
  type CopyDataMessage,
  type DataRowMessage,
  type WireCommand,
  type WireConnection,
  toWireConnection,
} from "./wire-connection.ts";

/** Received but not yet read: enough to keep the socket busy, small beside the budget of 300 MB for a whole backup. */
const QUEUE_LIMIT_BYTES = 8 * 1024 * 1024;
/** The server sends 32 KiB at a time; joining them here saves the stages behind a call for each. */
const BLOCK_BYTES = 256 * 1024;
/** Limits of MAX_RATE, in kB/s; https://www.postgresql.org/docs/current/protocol-replication.html */
const RATE_MIN_KB = 32;
const RATE_MAX_KB = 1024 * 1024;
const OPERATION = "Cannot take a base backup";

export interface BaseBackupOptions {
  /** Written into backup_label. */
  readonly label: string;
  /** `fast` begins at once; `spread` takes up to checkpoint_timeout * 0.9 and spares the disks. */
  readonly checkpoint: "fast" | "spread";
  /** Bytes a second, from 32 KiB to 1 GiB; undefined for no limit. */
  readonly rateLimitBytes?: number;
}

export interface BackupTablespace {
  readonly oid: string;
  /** Where it lies on the server. */
  readonly path: string;
}

export type BaseBackupEvent =
  | {
      readonly kind: "start";
      readonly lsn: Lsn;
      readonly timeline: TimelineId;
      /** Without the main data folder. */
      readonly tablespaces: readonly BackupTablespace[];
      /** The server's estimate of what will come, in bytes. */
      readonly estimatedBytes: number;
    }
  /** A tar archive begins: a tablespace's, or (last) that of the data folder, whose path is undefined. */
  | { readonly kind: "archive"; readonly name: string; readonly tablespacePath: string | undefined }
  /** The backup manifest begins. */
  | { readonly kind: "manifest" }
  /** Bytes of what began last; valid until the next event is asked for, when their block is filled again. */
  | { readonly kind: "data"; readonly bytes: Buffer }
  | { readonly kind: "progress"; readonly doneBytes: number }
  | { readonly kind: "end"; readonly lsn: Lsn; readonly timeline: TimelineId };

/**
 * BASE_BACKUP as PostgreSQL 15 and later speak it: tar archives and the manifest in one copy stream. WAL is not included, the server doesn't
 * wait for its archiving, and doesn't check pages: with its own check a bad page fails the backup after all data was sent.
 *
 * The socket is held back while the reader is slow. A reader that stops early must close the connection: the protocol can't interrupt.
 *
 * @returns events in the order start, (archive, data...)..., manifest, data..., end; progress anywhere between
 * @throws `replication_failed`, `server_denied`, `server_unreachable`
 */
export async function* baseBackup(
  connection: ReplicationConnection,
  options: BaseBackupOptions,
): AsyncGenerator<BaseBackupEvent, void, void> {
  const command = new BaseBackupCommand(baseBackupCommand(options));
  connection.submit(command, OPERATION);
  for await (const event of command.events) {
    yield event;
    if (event.kind === "data") command.recycle(event.bytes);
  }
}

/** The command's text. Exported for its test. */
export function baseBackupCommand(options: BaseBackupOptions): string {
  const settings = [
    `LABEL '${options.label.replaceAll("'", "''")}'`,
    "PROGRESS true",
    `CHECKPOINT '${options.checkpoint}'`,
    "WAL false",
    "WAIT false",
    // Without the map, base.tar holds symbolic links to the live tablespaces.
    "TABLESPACE_MAP true",
    "VERIFY_CHECKSUMS false",
    "MANIFEST 'yes'",
    "MANIFEST_CHECKSUMS 'CRC32C'",
  ];
  if (options.rateLimitBytes !== undefined) {
    const rateKb = Math.min(RATE_MAX_KB, Math.max(RATE_MIN_KB, Math.floor(options.rateLimitBytes / 1024)));
    settings.push(`MAX_RATE ${rateKb}`);
  }
  return `BASE_BACKUP (${settings.join(", ")})`;
}

/** Collects the two result sets around the copy stream, and the typed messages inside it. */
class BaseBackupCommand implements WireCommand {
  readonly events: EventQueue<BaseBackupEvent>;
  readonly #text: string;
  #wire: WireConnection | undefined;
  #results: (readonly (string | null)[])[][] = [];
  #started = false;
  /** Fresh blocks for each message would keep the garbage collector busy. */
  readonly #spare: Buffer[] = [];
  #block: Buffer = Buffer.alloc(0);
  #blockLength = 0;

  constructor(text: string) {
    this.#text = text;
    this.events = new EventQueue(QUEUE_LIMIT_BYTES, (paused) => {
      if (paused) this.#wire?.stream.pause();
      else this.#wire?.stream.resume();
    });
  }

  /** @param bytes of a data event that was read */
  recycle(bytes: Buffer): void {
    this.#spare.push(Buffer.from(bytes.buffer));
  }

  submit(connection: Connection): void {
    this.#wire = toWireConnection(connection);
    this.#wire.query(this.#text);
  }

  handleRowDescription(): void {
    this.#results.push([]);
  }

  handleDataRow(message: DataRowMessage): void {
    this.#results.at(-1)?.push(message.fields);
  }

  handleCopyData(message: CopyDataMessage): void {
    try {
      this.#start();
      this.#message(message.chunk);
    } catch (error) {
      this.handleError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  handleCommandComplete(): void {
    // Each result set has one; ReadyForQuery tells the end.
  }

  handleReadyForQuery(): void {
    this.#flushBlock();
    try {
      const [lsn, timeline] = this.#results.at(-1)?.[0] ?? [];
      if (!this.#started || this.#results.length !== 3) throw new Error("the server ended the backup without its end");
      this.#push({ kind: "end", lsn: parseLsn(lsn ?? ""), timeline: toTimelineId(Number(timeline)) });
      this.events.finish();
    } catch (error) {
      this.events.fail(toReplicationError(error, OPERATION));
    }
  }

  handleError(error: Error): void {
    this.events.fail(toReplicationError(error, OPERATION));
  }

  /** The first copy message comes after both leading result sets are complete. */
  #start(): void {
    if (this.#started) return;
    this.#started = true;
    const [lsn, timeline] = this.#results[0]?.[0] ?? [];
    const spaces = this.#results[1] ?? [];
    this.#push({
      kind: "start",
      lsn: parseLsn(lsn ?? ""),
      timeline: toTimelineId(Number(timeline)),
      tablespaces: spaces.flatMap(([oid, path]) => (oid && path ? [{ oid, path }] : [])),
      estimatedBytes: spaces.reduce((sum, [, , sizeKb]) => sum + Number(sizeKb ?? 0) * 1024, 0),
    });
  }

  #message(chunk: Uint8Array): void {
    const kind = String.fromCharCode(chunk[0] ?? 0);
    if (kind === "d") return this.#append(chunk);
    this.#flushBlock();
    const rest = Buffer.from(chunk.subarray(1));
    if (kind === "n") {
      const [name, path] = rest.toString("utf8").split("\0");
      this.#push({ kind: "archive", name: name ?? "", tablespacePath: path === "" ? undefined : path });
    } else if (kind === "m") this.#push({ kind: "manifest" });
    else if (kind === "p") this.#push({ kind: "progress", doneBytes: Number(rest.readBigInt64BE(0)) });
    else
      throw new TidemarkError(
        "replication_failed",
        `${OPERATION}: the server sent a message of unknown kind "${kind}"`,
      );
  }

  /** Copies: the chunk is a view of the parser's buffer, which is overwritten after this call. */
  #append(chunk: Uint8Array): void {
    let from = 1;
    while (from < chunk.length) {
      if (this.#blockLength === this.#block.length) {
        this.#flushBlock();
        this.#block = this.#spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      }
      const length = Math.min(chunk.length - from, this.#block.length - this.#blockLength);
      this.#block.set(chunk.subarray(from, from + length), this.#blockLength);
      this.#blockLength += length;
      from += length;
    }
  }

  #flushBlock(): void {
    if (this.#blockLength === 0) return;
    this.#push({ kind: "data", bytes: this.#block.subarray(0, this.#blockLength) }, this.#blockLength);
    this.#block = Buffer.alloc(0);
    this.#blockLength = 0;
  }

  #push(event: BaseBackupEvent, sizeBytes = 0): void {
    this.events.push(event, sizeBytes);
  }
}
