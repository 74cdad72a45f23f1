import { type ZstdCompress, constants, createZstdCompress } from "node:zlib";
import { compressZstd } from "../stream/zstd.ts";

/** Compressed bytes come in chunks of this size: each costs a turn of the event loop. */
const OUTPUT_CHUNK_BYTES = 1024 * 1024;

export interface FrameOptions {
  readonly level: number;
  /** Frames compressed at once, on the threads of libuv's pool. */
  readonly inFlight: number;
  /** Called with a block when it is no longer needed, so that it can be filled again. */
  readonly release?: ((block: Uint8Array) => void) | undefined;
}

/**
 * Compresses blocks side by side into one zstd frame each, in order; joined they are an ordinary zstd file. Contexts are used again and again, which is half
 * again as fast as a new one for each block. Memory: `inFlight` blocks, plain and compressed.
 *
 * @param blocks of 1 MiB or more for speed; empty ones are passed over
 */
export async function* compressFrames(
  blocks: AsyncIterable<Uint8Array>,
  options: FrameOptions,
): AsyncGenerator<Buffer> {
  const contexts = new ContextPool(options.level);
  const frames: Promise<Buffer>[] = [];
  let previous: Uint8Array | undefined;
  try {
    for await (const block of blocks) {
      if (block.length === 0) continue;
      if (previous !== undefined) frames.push(startFrame(contexts, previous, options));
      previous = block;
      const first = frames.length >= options.inFlight ? frames.shift() : undefined;
      if (first !== undefined) yield await first;
    }
    // A small object is one frame and needs no context of its own.
    if (previous !== undefined && contexts.isUnused) {
      const frame = await compressZstd(previous, options.level);
      options.release?.(previous);
      yield frame;
    } else if (previous !== undefined) frames.push(startFrame(contexts, previous, options));
    for (let first = frames.shift(); first !== undefined; first = frames.shift()) yield await first;
  } finally {
    await Promise.allSettled(frames);
    contexts.close();
  }
}

function startFrame(contexts: ContextPool, block: Uint8Array, options: FrameOptions): Promise<Buffer> {
  const frame = contexts.compress(block).finally(() => options.release?.(block));
  // Its failure is met when its turn comes.
  frame.catch(() => undefined);
  return frame;
}

class ContextPool {
  readonly #level: number;
  readonly #all: ZstdCompress[] = [];
  readonly #free: ZstdCompress[] = [];

  constructor(level: number) {
    this.#level = level;
  }

  get isUnused(): boolean {
    return this.#all.length === 0;
  }

  async compress(block: Uint8Array): Promise<Buffer> {
    const context = this.#free.pop() ?? this.#make();
    const frame = await endFrame(context, block);
    this.#free.push(context);
    return frame;
  }

  close(): void {
    for (const context of this.#all) context.destroy();
  }

  #make(): ZstdCompress {
    const context = createZstdCompress({
      chunkSize: OUTPUT_CHUNK_BYTES,
      params: { [constants.ZSTD_c_compressionLevel]: this.#level, [constants.ZSTD_c_checksumFlag]: 1 },
    });
    // Reported by the call that it belongs to; a context that is closed early has nobody to tell.
    context.on("error", () => undefined);
    this.#all.push(context);
    return context;
  }
}

function endFrame(context: ZstdCompress, block: Uint8Array): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  const take = (): void => {
    // A byte stream without encoding gives buffers, and null when it is empty.
    for (let part = context.read() as Buffer | null; part !== null; part = context.read() as Buffer | null)
      parts.push(part);
  };
  context.once("error", reject);
  context.on("readable", take);
  context.write(block);
  context.flush(constants.ZSTD_e_end, () => {
    take();
    context.off("readable", take);
    context.off("error", reject);
    const [only] = parts;
    resolve(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts));
  });
  return promise;
}
