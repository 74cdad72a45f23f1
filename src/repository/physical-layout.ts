import { TidemarkError } from "../core/errors.ts";
import {
  type Lsn,
  type SegmentName,
  type TimelineId,
  formatTimelineId,
  historyFileName,
  isSegmentName,
  parseHistoryFileName,
  parseTimelineId,
} from "../core/lsn.ts";
import type { ObjectId } from "../core/ids.ts";

/** One history of one cluster, as long as nothing contradicts it. Given out by us: a system identifier is not enough, since copies share it. */
export type LineageId = ObjectId;

/** A stored range of one WAL segment; a whole segment is the range from 0 to its size. */
export interface WalPiece {
  readonly lineage: LineageId;
  readonly timeline: TimelineId;
  readonly segment: SegmentName;
  /** Offset of the first byte in the segment. */
  readonly from: number;
  /** Offset after the last byte. */
  readonly to: number;
  /** HMAC-SHA-256 of the plain bytes under the database's key, 64 hex digits. */
  readonly mac: string;
}

/** The stored index of a whole segment: what its records say in short. Made of the segment, which can do without it. */
export interface StoredSegmentIndex {
  readonly lineage: LineageId;
  readonly timeline: TimelineId;
  readonly segment: SegmentName;
  /** Of the whole segment that it was made of. */
  readonly segmentMac: string;
  /** Of its own plain bytes. */
  readonly mac: string;
}

/** A stored timeline history file. */
export interface StoredHistory {
  readonly lineage: LineageId;
  readonly timeline: TimelineId;
  readonly mac: string;
}

/** A gap that the receiver met: WAL from `from` to `to` is nowhere. */
export interface StoredGap {
  readonly lineage: LineageId;
  readonly timeline: TimelineId;
  readonly from: Lsn;
  readonly to: Lsn;
}

const SUFFIX = ".zst.age";
const WAL_PIECE = /^([0-9A-F]{24})\.([0-9a-f]{8})-([0-9a-f]{8})\.([0-9a-f]{64})\.zst\.age$/;
const SEGMENT_INDEX = /^([0-9A-F]{24})\.([0-9a-f]{64})\.([0-9a-f]{64})\.json\.zst\.age$/;
const WAL_HISTORY = /^([0-9A-F]{8}\.history)\.([0-9a-f]{64})\.zst\.age$/;
const WAL_GAP = /^gap-([0-9A-F]{8})-([0-9a-f]{16})-([0-9a-f]{16})\.json\.zst\.age$/;

/*
 * Keys below the database's own prefix. Manifests of base backups lie apart from their volumes, so that a list of backups doesn't list every volume.
 */

export function baseManifestPrefix(prefix: string): string {
  return `${prefix}/base-manifests/`;
}

export function baseManifestKey(prefix: string, backupId: ObjectId): string {
  return `${baseManifestPrefix(prefix)}${backupId}.json${SUFFIX}`;
}

/** The backup of a manifest's key, undefined for any other key. */
export function parseBaseManifestKey(prefix: string, key: string): string | undefined {
  const start = baseManifestPrefix(prefix);
  if (!key.startsWith(start) || !key.endsWith(`.json${SUFFIX}`)) return undefined;
  return key.slice(start.length, -`.json${SUFFIX}`.length);
}

/** Everything of all base backups but their manifests. */
export function baseBackupsPrefix(prefix: string): string {
  return `${prefix}/base/`;
}

export function baseBackupPrefix(prefix: string, backupId: ObjectId): string {
  return `${baseBackupsPrefix(prefix)}${backupId}/`;
}

/** @param number of the volume, from 1 */
export function baseVolumeKey(prefix: string, backupId: ObjectId, number: number): string {
  return `${baseBackupPrefix(prefix, backupId)}volume-${String(number).padStart(6, "0")}.tar${SUFFIX}`;
}

/** PostgreSQL's own backup_manifest. */
export function serverManifestKey(prefix: string, backupId: ObjectId): string {
  return `${baseBackupPrefix(prefix, backupId)}backup_manifest${SUFFIX}`;
}

export function lineagePrefix(prefix: string): string {
  return `${prefix}/lineages/`;
}

export function lineageKey(prefix: string, lineage: LineageId): string {
  return `${lineagePrefix(prefix)}${lineage}.json${SUFFIX}`;
}

/** Every object of a lineage's WAL. */
export function lineageWalPrefix(prefix: string, lineage: LineageId): string {
  return `${prefix}/wal/${lineage}/`;
}

export function timelineWalPrefix(prefix: string, lineage: LineageId, timeline: TimelineId): string {
  return `${lineageWalPrefix(prefix, lineage)}${formatTimelineId(timeline)}/`;
}

export function walPieceKey(prefix: string, piece: WalPiece): string {
  const offset = (value: number): string => value.toString(16).padStart(8, "0");
  const folder = timelineWalPrefix(prefix, piece.lineage, piece.timeline);
  return `${folder}${piece.segment}.${offset(piece.from)}-${offset(piece.to)}.${piece.mac}${SUFFIX}`;
}

/** History files lie flat below their lineage, whichever branch they belong to. */
export function historyKey(prefix: string, history: StoredHistory): string {
  const folder = lineageWalPrefix(prefix, history.lineage);
  return `${folder}${historyFileName(history.timeline)}.${history.mac}${SUFFIX}`;
}

export function gapKey(prefix: string, gap: StoredGap): string {
  const position = (lsn: Lsn): string => lsn.toString(16).padStart(16, "0");
  const folder = lineageWalPrefix(prefix, gap.lineage);
  return `${folder}gap-${formatTimelineId(gap.timeline)}-${position(gap.from)}-${position(gap.to)}.json${SUFFIX}`;
}

/** Indexes lie apart from the log: who lists the one doesn't list the other, and programs that know nothing of them see none. */
export function lineageIndexPrefix(prefix: string, lineage: LineageId): string {
  return `${prefix}/wal-index/${lineage}/`;
}

export function segmentIndexKey(prefix: string, index: StoredSegmentIndex): string {
  const folder = `${lineageIndexPrefix(prefix, index.lineage)}${formatTimelineId(index.timeline)}/`;
  return `${folder}${index.segment}.${index.segmentMac}.${index.mac}.json${SUFFIX}`;
}

/** The index of a key below a lineage's prefix of indexes; undefined for any other key. */
export function parseSegmentIndexKey(prefix: string, lineage: LineageId, key: string): StoredSegmentIndex | undefined {
  const folder = lineageIndexPrefix(prefix, lineage);
  const [timeline = "", name = "", ...rest] = key.startsWith(folder) ? key.slice(folder.length).split("/") : [];
  const [, segment, segmentMac, mac] = SEGMENT_INDEX.exec(name) ?? [];
  if (segment === undefined || segmentMac === undefined || mac === undefined || rest.length > 0) return undefined;
  if (!isSegmentName(segment) || !segment.startsWith(timeline)) return undefined;
  return { lineage, timeline: parseTimelineId(timeline), segment, segmentMac, mac };
}

export type LineageObject =
  | { readonly kind: "piece"; readonly piece: WalPiece }
  | { readonly kind: "history"; readonly history: StoredHistory }
  | { readonly kind: "gap"; readonly gap: StoredGap };

/**
 * Reads a key below a lineage's prefix.
 *
 * @throws `object_corrupt` for a name that this program doesn't write: somebody else wrote into the repository
 */
export function parseLineageKey(prefix: string, lineage: LineageId, key: string): LineageObject {
  const folder = lineageWalPrefix(prefix, lineage);
  const name = key.startsWith(folder) ? key.slice(folder.length) : "";
  const slash = name.indexOf("/");
  const object =
    slash === -1
      ? (parseHistory(lineage, name) ?? parseGap(lineage, name))
      : parsePiece(lineage, name.slice(0, slash), name.slice(slash + 1));
  if (object !== undefined) return object;
  throw new TidemarkError("object_corrupt", `Cannot read the repository: "${key}" is no name of write-ahead log`, {
    hint: "Something else wrote into the repository; move that object away",
  });
}

function parsePiece(lineage: LineageId, folder: string, name: string): LineageObject | undefined {
  const [, segment, from, to, mac] = WAL_PIECE.exec(name) ?? [];
  if (segment === undefined || from === undefined || to === undefined || mac === undefined) return undefined;
  if (!isSegmentName(segment) || !segment.startsWith(folder)) return undefined;
  const piece = { from: Number.parseInt(from, 16), to: Number.parseInt(to, 16), mac };
  return { kind: "piece", piece: { lineage, timeline: parseTimelineId(folder), segment, ...piece } };
}

function parseHistory(lineage: LineageId, name: string): LineageObject | undefined {
  const [, file, mac] = WAL_HISTORY.exec(name) ?? [];
  const timeline = parseHistoryFileName(file ?? "");
  if (timeline === undefined || mac === undefined) return undefined;
  return { kind: "history", history: { lineage, timeline, mac } };
}

function parseGap(lineage: LineageId, name: string): LineageObject | undefined {
  const [, timeline, from, to] = WAL_GAP.exec(name) ?? [];
  if (timeline === undefined) return undefined;
  const gap = { from: BigInt(`0x${from}`) as Lsn, to: BigInt(`0x${to}`) as Lsn }; // brands: 16 hex digits are 64 bits
  return { kind: "gap", gap: { lineage, timeline: parseTimelineId(timeline), ...gap } };
}
