/** A thread of its own that opens, unpacks and writes volumes: started by volume-threads.ts, which gives it the stored bytes. */
import { createHash } from "node:crypto";
import { type MessagePort, parentPort } from "node:worker_threads";
import { TidemarkError } from "../core/errors.ts";
import { AGE_HEADER_BYTES_MAX, ChunkOpener, openAgeFile } from "../stream/age.ts";
import { decompressZstdFrame } from "../stream/zstd.ts";
import { ZstdFrameSplitter } from "../stream/zstd-frames.ts";
import { type ExtractedFile, VolumeExtractor } from "./volume-extractor.ts";
import { type VolumeJob, type VolumeReply, type VolumeRequest, failureReply } from "./volume-messages.ts";

/** A frame's content of 4 MiB, and some more, so that one buffer holds it and its end is seen at once. */
const FRAME_ROOM_BYTES = 4 * 1024 * 1024 + 64 * 1024;
const FRAME_CONTENT_BYTES_MAX = 64 * 1024 * 1024;

/** One volume on its way from stored bytes into files. */
class VolumeReading {
  readonly #job: VolumeJob;
  readonly #storedHash = createHash("sha256");
  readonly #frames: ZstdFrameSplitter;
  readonly #extractor: VolumeExtractor;
  #files: ExtractedFile[] = [];
  #plainBytes = 0;
  /** The object's first bytes, until its header is there. */
  #start = Buffer.alloc(0);
  #opener: ChunkOpener | undefined;

  constructor(job: VolumeJob) {
    this.#job = job;
    this.#frames = new ZstdFrameSplitter(job.key);
    this.#extractor = new VolumeExtractor({
      folder: job.folder,
      owner: job.owner,
      onFile: (file) => void this.#files.push(file),
    });
  }

  async push(bytes: Uint8Array): Promise<VolumeReply> {
    this.#storedHash.update(bytes);
    if (this.#opener !== undefined) this.#unpack(this.#opener.push(bytes));
    else {
      this.#start = Buffer.concat([this.#start, bytes]);
      if (this.#start.length >= AGE_HEADER_BYTES_MAX) await this.#open();
    }
    return this.#report();
  }

  async finish(): Promise<VolumeReply> {
    const opener = this.#opener ?? (await this.#open());
    this.#unpack(opener.finish());
    this.#frames.finish();
    this.#extractor.finish();
    // The frames' own checksums and those of the files prove the plain bytes.
    if (this.#storedHash.digest("hex") !== this.#job.storedSha256)
      throw new TidemarkError(
        "object_corrupt",
        `Cannot read "${this.#job.key}": its SHA-256 is not that of its manifest`,
        { hint: "The stored bytes were changed; restore from another base backup" },
      );
    return this.#report();
  }

  close(): void {
    this.#extractor.close();
  }

  async #open(): Promise<ChunkOpener> {
    const { identity, key } = this.#job;
    const file = await openAgeFile(this.#start.subarray(0, AGE_HEADER_BYTES_MAX), identity, key);
    const opener = new ChunkOpener(file, { firstChunk: 0, reachesEnd: true }, key);
    this.#opener = opener;
    this.#unpack(opener.push(this.#start.subarray(file.header.length)));
    return opener;
  }

  #unpack(opened: Iterable<Buffer>): void {
    for (const piece of opened)
      for (const frame of this.#frames.push(piece)) {
        const room = { expectedBytes: FRAME_ROOM_BYTES, limitBytes: FRAME_CONTENT_BYTES_MAX };
        const plain = decompressZstdFrame(frame, room, this.#job.key);
        this.#plainBytes += plain.length;
        this.#extractor.push(plain);
      }
  }

  /** What was done since the last report. */
  #report(): VolumeReply {
    const reply = { kind: "taken", plainBytes: this.#plainBytes, files: this.#files } as const;
    this.#plainBytes = 0;
    this.#files = [];
    return reply;
  }
}

class VolumeService {
  readonly #port: MessagePort;
  #reading: VolumeReading | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (request: VolumeRequest) => void this.#enqueue(request));
  }

  /** One after the other: opening a header takes a turn of the event loop. */
  async #enqueue(request: VolumeRequest): Promise<void> {
    const earlier = this.#work;
    this.#work = earlier.then(() => this.#serve(request));
    await this.#work;
  }

  async #serve(request: VolumeRequest): Promise<void> {
    try {
      const reply = await this.#answer(request);
      if (reply !== undefined) this.#port.postMessage(reply, []);
    } catch (error) {
      this.#reading?.close();
      this.#reading = undefined;
      this.#port.postMessage(failureReply(error), []);
    }
  }

  async #answer(request: VolumeRequest): Promise<VolumeReply | undefined> {
    if (request.kind === "job") {
      this.#reading = new VolumeReading(request.job);
      return undefined;
    }
    return request.kind === "bytes" ? this.#reading?.push(request.bytes) : this.#reading?.finish();
  }
}

if (parentPort !== null) void new VolumeService(parentPort);
