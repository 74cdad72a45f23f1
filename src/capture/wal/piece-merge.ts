import type { WalPiece } from "../../repository/physical-layout.ts";

/**
 * So many pieces of one weight are joined into one of the next. A busy minute makes two of them; a segment that fills over days has about a hundred pieces at
 * most, and each byte of it is stored two or three times more.
 */
export const PIECES_JOINED = 32;

export interface WeightedPiece {
  readonly piece: WalPiece;
  /** How many pieces it stands for: 1, or a power of `PIECES_JOINED`. */
  readonly weight: number;
}

export interface NextPiece {
  /** Offset where it begins: the end of what is stored, or the beginning of the pieces that it joins. */
  readonly from: number;
  readonly weight: number;
}

/**
 * Where the next piece of an open segment begins. Pure.
 *
 * @param pieces what is stored, in the order of the segment
 * @param storedBytes end of what is stored without a hole
 */
export function planNextPiece(pieces: readonly WeightedPiece[], storedBytes: number): NextPiece {
  const run = pieces.slice(-PIECES_JOINED);
  const [first] = run;
  const isRun =
    first !== undefined && run.length === PIECES_JOINED && run.every(({ weight }) => weight === first.weight);
  // A hole among them (left by two receivers at once) is no reason to store what isn't there: then nothing is joined.
  const isWhole =
    isRun && run.every(({ piece }, index) => index === 0 || (run[index - 1]?.piece.to ?? 0) >= piece.from);
  if (first === undefined || !isWhole || run.at(-1)?.piece.to !== storedBytes) return { from: storedBytes, weight: 1 };
  return { from: first.piece.from, weight: first.weight * PIECES_JOINED };
}
