import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/**
 * One zstd frame. One call for the whole input: Node's streaming compressor fails at the end of the stream with several workers, and costs half again
 * as much processor time as one call for 1 to 4 MiB.
 *
 * @param level 1 to 19; 3 is zstd's own default.
 */
export async function compressZstd(bytes: Uint8Array, level: number): Promise<Buffer> {
  return compress(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}

/**
 * The plain bytes of all frames in `bytes`.
 *
 * @param limitBytes what the result may have at most, against input made to fill the memory.
 * @throws whatever zlib says of damaged input or of a result beyond the limit: the caller knows which object it was.
 */
export async function decompressZstd(bytes: Uint8Array, limitBytes: number): Promise<Buffer> {
  return decompress(bytes, { maxOutputLength: limitBytes });
}
