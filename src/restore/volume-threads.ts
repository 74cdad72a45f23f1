import { Worker } from "node:worker_threads";
import { TidemarkError } from "../core/errors.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import type { ExtractedFile } from "./volume-extractor.ts";
import { type VolumeJob, type VolumeReply, type VolumeRequest, failureOf } from "./volume-messages.ts";

/** Stored bytes that a thread has been given and not worked off: enough that it never waits for a folder, and for most of a network's delays. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;

export interface VolumeProgress {
  readonly onFile: (file: ExtractedFile) => void;
  readonly onBytes: (plainBytes: number) => void;
}

/**
 * A thread that unpacks one volume at a time. Hashing, decrypting, decompressing and writing 5 GB through the event loop takes one core and twice the time: each
 * piece of it is a call and a new buffer. A thread does all of it in plain loops, and as many run as there are cores.
 */
export class VolumeThread {
  readonly #worker = new Worker(new URL("./volume-thread.ts", import.meta.url));
  #waitingBytes = 0;
  #failure: { readonly error: unknown } | undefined;
  #progress: VolumeProgress | undefined;
  readonly #sent: number[] = [];
  #answered = Promise.withResolvers<void>();

  constructor() {
    this.#worker.on("message", (reply: VolumeReply) => this.#take(reply));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new TidemarkError("bug", "A thread that unpacks volumes ended")));
  }

  /**
   * Extracts one volume; one at a time. After a failure the thread is of no use any more.
   *
   * @param stored the object's bytes
   * @throws `object_corrupt`, `key_missing`, `disk_full`, what `stored` and `progress.onFile` throw
   */
  async extract(job: VolumeJob, stored: ByteStream, progress: VolumeProgress): Promise<void> {
    this.#progress = progress;
    this.#post({ kind: "job", job });
    for await (const chunk of stored) {
      this.#sent.push(chunk.length);
      this.#waitingBytes += chunk.length;
      // Moved, not copied, where the chunk is all of its memory; a view of more is copied.
      const bytes = chunk.byteLength === chunk.buffer.byteLength ? chunk : Uint8Array.from(chunk);
      this.#post({ kind: "bytes", bytes }, [bytes.buffer as ArrayBuffer]);
      while (this.#waitingBytes > WAITING_BYTES_MAX) await this.#untilAnswer();
    }
    this.#sent.push(0);
    this.#post({ kind: "end" });
    while (this.#sent.length > 0) await this.#untilAnswer();
    this.#throwFailure();
  }

  /** Ends it, in whatever it does. May be called twice. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(request: VolumeRequest, moved: ArrayBuffer[] = []): void {
    this.#throwFailure();
    this.#worker.postMessage(request, moved);
  }

  async #untilAnswer(): Promise<void> {
    this.#throwFailure();
    await this.#answered.promise;
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #take(reply: VolumeReply): void {
    if (reply.kind === "failed") return this.#fail(failureOf(reply));
    this.#waitingBytes -= this.#sent.shift() ?? 0;
    try {
      for (const file of reply.files) this.#progress?.onFile(file);
      this.#progress?.onBytes(reply.plainBytes);
    } catch (error) {
      this.#fail(error);
    }
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #wake(): void {
    this.#answered.resolve();
    this.#answered = Promise.withResolvers();
  }
}
