import { TidemarkError } from "../core/errors.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import { sliceBytes } from "../stream/byte-stream.ts";
import type { PhysicalArchive } from "./physical-archive.ts";
import type { WalPiece } from "./physical-layout.ts";
import { readWalPiece } from "./wal-archive.ts";

/** A piece, and from where in the segment its bytes are taken. */
export interface PieceUse {
  readonly piece: WalPiece;
  readonly takeFrom: number;
}

/**
 * The plain bytes of a segment from its start as far as it is stored without a hole, put together by offset. Every stored byte is compared with every
 * other of the same place: pieces that overlap must agree.
 *
 * @param pieces all that are stored of the segment
 * @throws `object_corrupt` when overlapping pieces differ; as `readWalPiece`
 */
export async function* readSegment(
  archive: PhysicalArchive,
  pieces: readonly WalPiece[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  await compareOverlaps(archive, pieces, signal);
  for (const { piece, takeFrom } of planSegment(pieces)) {
    const range = { offsetBytes: takeFrom - piece.from, lengthBytes: piece.to - takeFrom };
    // Read to its very end, where the piece's own hash is checked: a slice would end it at its last wanted byte.
    if (range.offsetBytes === 0) yield* readWalPiece(archive, piece, signal);
    else yield* skipBytes(readWalPiece(archive, piece, signal), range.offsetBytes);
  }
}

/** Which pieces give a segment's bytes from 0 without a hole: the longest next one each time. Exported for its test. */
export function planSegment(pieces: readonly WalPiece[]): readonly PieceUse[] {
  const uses: PieceUse[] = [];
  let end = 0;
  for (;;) {
    const candidates = pieces.filter((piece) => piece.from <= end && piece.to > end);
    const longest = candidates.toSorted((first, second) => second.to - first.to)[0];
    if (longest === undefined) return uses;
    uses.push({ piece: longest, takeFrom: end });
    end = longest.to;
  }
}

/** Rare: left by a receiver that died between storing a whole segment and removing its pieces, or by two at once. */
async function compareOverlaps(
  archive: PhysicalArchive,
  pieces: readonly WalPiece[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const [index, first] of pieces.entries())
    for (const second of pieces.slice(index + 1)) {
      const from = Math.max(first.from, second.from);
      const to = Math.min(first.to, second.to);
      if (from >= to || (first.mac === second.mac && first.from === second.from)) continue;
      const slice = (piece: WalPiece): ByteStream =>
        sliceBytes(readWalPiece(archive, piece, signal), { offsetBytes: from - piece.from, lengthBytes: to - from });
      if (!(await areEqual(slice(first), slice(second))))
        throw new TidemarkError(
          "object_corrupt",
          `Cannot read segment "${first.segment}": its stored pieces contradict each other at offset ${from}`,
          { hint: "Two servers wrote into one lineage; restore to a moment before this segment" },
        );
    }
}

async function areEqual(first: ByteStream, second: ByteStream): Promise<boolean> {
  const other = second[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  try {
    for await (const chunk of first) {
      let at = 0;
      while (at < chunk.length) {
        if (rest.length === 0) {
          const next = await other.next();
          if (next.done === true) return false;
          rest = next.value;
        }
        const length = Math.min(rest.length, chunk.length - at);
        if (Buffer.compare(chunk.subarray(at, at + length), rest.subarray(0, length)) !== 0) return false;
        rest = rest.subarray(length);
        at += length;
      }
    }
    return rest.length === 0;
  } finally {
    await other.return?.();
  }
}

async function* skipBytes(source: ByteStream, count: number): AsyncGenerator<Uint8Array> {
  let skip = count;
  for await (const chunk of source) {
    const kept = chunk.subarray(Math.min(skip, chunk.length));
    skip = Math.max(0, skip - chunk.length);
    if (kept.length > 0) yield kept;
  }
}
