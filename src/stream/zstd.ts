import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress, zstdDecompressSync } from "node:zlib";
import { TidemarkError } from "../core/errors.ts";

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

/** Windows that `zstd` itself takes without being asked: 128 MiB. */
export const ZSTD_WINDOW_LOG_MAX = 27;

/**
 * The plain bytes of one frame, before the call ends: for a thread of its own. Its checksum is compared, where it has one.
 *
 * @param expectedBytes room for the result, which is made once when it suffices
 * @param limitBytes what the result may have at most
 * @param what names the object in errors
 * @throws `object_corrupt`
 */
export function decompressZstdFrame(
  frame: Uint8Array,
  { expectedBytes, limitBytes }: { readonly expectedBytes: number; readonly limitBytes: number },
  what: string,
): Buffer {
  try {
    return zstdDecompressSync(frame, {
      chunkSize: expectedBytes,
      maxOutputLength: limitBytes,
      params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
    });
  } catch (error) {
    throw damagedZstd(what, error);
  }
}

/** What zlib says of damaged input, in our words. */
export function damagedZstd(what: string, cause: unknown): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot read "${what}": its compressed bytes are damaged`, {
    hint: "The stored bytes were changed or cut; use another backup and check the storage",
    cause,
  });
}
