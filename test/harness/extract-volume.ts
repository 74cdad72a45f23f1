import type { ByteStream } from "../../src/stream/byte-stream.ts";
import { type ExtractOptions, VolumeExtractor } from "../../src/restore/volume-extractor.ts";

/** Extracts a volume's plain bytes. */
export async function extractVolume(tar: ByteStream, options: ExtractOptions): Promise<void> {
  const extractor = new VolumeExtractor(options);
  try {
    for await (const chunk of tar) extractor.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    extractor.finish();
  } finally {
    extractor.close();
  }
}
