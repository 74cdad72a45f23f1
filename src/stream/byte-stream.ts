/** Bytes in order, pulled by the consumer, who owns each chunk: a producer never touches a chunk again after it yielded it. */
export type ByteStream = AsyncIterable<Uint8Array>;

/** Bytes that are there already, as a stream. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** Everything at once, for small objects. @throws RangeError when more than `limitBytes` come. */
export async function readAll(source: ByteStream, limitBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new RangeError(`More than ${limitBytes} bytes came`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}

/**
 * The same bytes in blocks of exactly `blockSizeBytes`, the last one shorter; nothing for an empty source. Memory: one block.
 *
 * @param takeBlock where an empty block comes from: a consumer that is done with its blocks may hand them out again.
 */
export async function* inBlocks(
  source: ByteStream,
  blockSizeBytes: number,
  takeBlock: () => Buffer = () => Buffer.allocUnsafe(blockSizeBytes),
): AsyncGenerator<Buffer> {
  let block = takeBlock();
  let used = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const taken = Math.min(blockSizeBytes - used, chunk.length - at);
      block.set(chunk.subarray(at, at + taken), used);
      used += taken;
      at += taken;
      if (used < blockSizeBytes) continue;
      yield block;
      block = takeBlock();
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}

/** The bytes from `offsetBytes` on, `lengthBytes` of them at most; ends the source as soon as it has them. */
export async function* sliceBytes(
  source: ByteStream,
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
): AsyncGenerator<Uint8Array> {
  let skip = range.offsetBytes;
  let left = range.lengthBytes;
  if (left === 0) return;
  for await (const chunk of source) {
    const kept = chunk.subarray(Math.min(skip, chunk.length), Math.min(chunk.length, skip + left));
    skip = Math.max(0, skip - chunk.length);
    left -= kept.length;
    if (kept.length > 0) yield kept;
    if (left === 0) return;
  }
}
