import { createHmac } from "node:crypto";
import { TidemarkError, isErrorCode } from "../core/errors.ts";
import { type SegmentName, type TimelineId, historyFileName } from "../core/lsn.ts";
import { type ByteStream, once } from "../stream/byte-stream.ts";
import {
  type PhysicalArchive,
  type WriteCall,
  nameMac,
  readObject,
  readSmallObject,
  writeObject,
  writeSmallObject,
} from "./physical-archive.ts";
import {
  type LineageId,
  type LineageObject,
  type StoredGap,
  type StoredHistory,
  type WalPiece,
  gapKey,
  historyKey,
  lineageWalPrefix,
  parseLineageKey,
  timelineWalPrefix,
  walPieceKey,
} from "./physical-layout.ts";

/** Where a piece lies; its hash is known when its bytes were read. */
export type WalPiecePlace = Omit<WalPiece, "mac">;

/**
 * Stores a piece of a segment, or a whole one. It commits itself: its name says what it is and proves its bytes.
 *
 * @param read gives the plain bytes, and is called twice: the name must be known before the first byte is stored
 * @returns the piece; also when the same bytes were stored under this name before
 * @throws what the store throws
 */
export async function storeWalPiece(
  archive: PhysicalArchive,
  place: WalPiecePlace,
  read: () => ByteStream,
  call: WriteCall = {},
): Promise<WalPiece> {
  const piece = { ...place, mac: await nameMac(archive, read()) };
  try {
    const sizeBytesMax = piece.to - piece.from;
    await writeObject(archive, walPieceKey(archive.prefix, piece), read(), { ...call, sizeBytesMax });
  } catch (error) {
    if (!isErrorCode(error, "object_exists")) throw error;
  }
  return piece;
}

/**
 * The plain bytes of a piece.
 *
 * @throws `object_corrupt` when they are not those that its name promises; as `readObject`
 */
export async function* readWalPiece(
  archive: PhysicalArchive,
  piece: WalPiece,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const key = walPieceKey(archive.prefix, piece);
  const mac = createHmac("sha256", archive.nameKey);
  let sizeBytes = 0;
  for await (const chunk of readObject(archive, key, { signal })) {
    mac.update(chunk);
    sizeBytes += chunk.length;
    yield chunk;
  }
  if (sizeBytes === piece.to - piece.from && mac.digest("hex") === piece.mac) return;
  throw new TidemarkError("object_corrupt", `Cannot read "${key}": its bytes are not those that its name promises`, {
    hint: "The stored bytes were changed; write-ahead log from here on can't be used",
  });
}

/** Removes a piece; a missing one is no error. */
export async function deleteWalPiece(archive: PhysicalArchive, piece: WalPiece, signal?: AbortSignal): Promise<void> {
  await archive.store.delete(walPieceKey(archive.prefix, piece), signal === undefined ? {} : { signal });
}

/** The pieces of one segment, in the order of their names. */
export async function listSegmentPieces(
  archive: PhysicalArchive,
  place: { readonly lineage: LineageId; readonly timeline: TimelineId; readonly segment: SegmentName },
  signal?: AbortSignal,
): Promise<readonly WalPiece[]> {
  const prefix = `${timelineWalPrefix(archive.prefix, place.lineage, place.timeline)}${place.segment}.`;
  const pieces: WalPiece[] = [];
  for await (const object of listObjects(archive, place.lineage, prefix, signal))
    if (object.kind === "piece") pieces.push(object.piece);
  return pieces;
}

/** Everything stored of a lineage's WAL: pieces, histories and gaps, in the order of their names. */
export function listLineageObjects(
  archive: PhysicalArchive,
  lineage: LineageId,
  signal?: AbortSignal,
): AsyncGenerator<LineageObject> {
  return listObjects(archive, lineage, lineageWalPrefix(archive.prefix, lineage), signal);
}

/**
 * Stores a timeline's history file. Never removed, and never another one under the same timeline.
 *
 * @param known the lineage's stored histories
 * @throws `lineage_diverged` when another content is stored for this timeline
 */
export async function storeHistory(
  archive: PhysicalArchive,
  place: { readonly lineage: LineageId; readonly timeline: TimelineId },
  content: string,
  known: readonly StoredHistory[],
  call: WriteCall = {},
): Promise<StoredHistory> {
  const bytes = Buffer.from(content, "utf8");
  const history = { ...place, mac: await nameMac(archive, once(bytes)) };
  const stored = known.find(({ timeline }) => timeline === place.timeline);
  if (stored !== undefined && stored.mac !== history.mac)
    throw new TidemarkError(
      "lineage_diverged",
      `Cannot store "${historyFileName(place.timeline)}": another history of this timeline is stored`,
      { hint: "Two servers took the same timeline; a new lineage keeps them apart" },
    );
  if (stored !== undefined) return stored;
  try {
    await writeSmallObject(archive, historyKey(archive.prefix, history), bytes, call);
  } catch (error) {
    if (!isErrorCode(error, "object_exists")) throw error;
  }
  return history;
}

/** The content of a stored history file. */
export async function readHistory(
  archive: PhysicalArchive,
  history: StoredHistory,
  signal?: AbortSignal,
): Promise<string> {
  return (await readSmallObject(archive, historyKey(archive.prefix, history), signal)).toString("utf8");
}

/** Records that WAL is lost for good, with when and why. */
export async function storeGap(
  archive: PhysicalArchive,
  gap: StoredGap,
  facts: { readonly foundAt: Date; readonly reason: string },
  call: WriteCall = {},
): Promise<void> {
  const bytes = Buffer.from(JSON.stringify({ format: 1, foundAt: facts.foundAt.toISOString(), reason: facts.reason }));
  await writeSmallObject(archive, gapKey(archive.prefix, gap), bytes, { ...call, overwrite: true });
}

async function* listObjects(
  archive: PhysicalArchive,
  lineage: LineageId,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<LineageObject> {
  for await (const object of archive.store.list(prefix, signal === undefined ? {} : { signal }))
    yield parseLineageKey(archive.prefix, lineage, object.key);
}
