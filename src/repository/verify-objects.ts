import { createHash } from "node:crypto";
import { type ErrorCode, TidemarkError, asTidemarkError } from "../core/errors.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import { type BaseBackupManifest, listBaseBackups, readBaseBackup } from "./base-backup-set.ts";
import { backupIdOfKey, logicalManifestsPrefix } from "./layout.ts";
import { listLineages, readLineage } from "./lineages.ts";
import { openLogicalArchive } from "./logical-archive.ts";
import { type LogicalManifest, readLogicalManifest } from "./logical-manifest.ts";
import { type PhysicalArchive, type StoredBytes, nameMac, readObject } from "./physical-archive.ts";
import {
  type LineageId,
  type StoredHistory,
  type WalPiece,
  baseManifestKey,
  baseVolumeKey,
  historyKey,
  lineageKey,
  lineageWalPrefix,
  parseLineageKey,
  segmentIndexKey,
  serverManifestKey,
  walPieceKey,
} from "./physical-layout.ts";
import type { Repository } from "./repository.ts";
import { readWalPiece } from "./wal-archive.ts";
import { listSegmentIndexes, readSegmentIndex } from "./wal-index.ts";
import { readSegment } from "./wal-segment.ts";

/** One object that was looked at. */
export interface CheckedObject {
  readonly key: string;
  /** 0 when it is gone. */
  readonly storedBytes: number;
  /** What is wrong with it; undefined when nothing is. */
  readonly problem: TidemarkError | undefined;
}

export interface VerifyOptions {
  /** Reads every byte and compares hashes, stored and plain; without it, sizes and manifests only. */
  readonly isDeep: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What a changed object can lead to. A flipped bit in its header makes it look as if it were encrypted to somebody else. */
const FINDINGS: ReadonlySet<ErrorCode> = new Set([
  "object_corrupt",
  "object_not_found",
  "format_too_new",
  "key_missing",
]);

interface Place {
  readonly databaseId: string;
  /** The database's, unwrapped. */
  readonly identity: string;
}

/**
 * Checks every logical backup of a database, object by object.
 *
 * @throws what the store throws, and `key_missing`; what is wrong with an object is in the result
 */
export async function* verifyLogicalObjects(
  repository: Repository,
  place: Place,
  options: VerifyOptions,
): AsyncGenerator<CheckedObject> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  for await (const { key } of repository.store.list(logicalManifestsPrefix(place.databaseId), call)) {
    const backupId = backupIdOfKey(key);
    if (backupId === undefined) continue;
    let manifest: LogicalManifest | undefined;
    const object = await check(key, repository, options, async () => {
      const backup = { databaseId: place.databaseId, backupId };
      manifest = await readLogicalManifest(repository, backup, place.identity, call);
    });
    if (object.storedBytes === 0) continue; // removed since it was listed
    yield object;
    if (manifest !== undefined) yield* verifyNamedArchive(repository, { key, manifest }, place.identity, options);
  }
}

/** The same for base backups and write-ahead log. Whether the log has holes is not looked at. */
export async function* verifyPhysicalObjects(
  archive: PhysicalArchive,
  options: VerifyOptions,
): AsyncGenerator<CheckedObject> {
  for await (const backupId of listBaseBackups(archive, options.signal)) {
    let backup: BaseBackupManifest | undefined;
    const manifest = await check(baseManifestKey(archive.prefix, backupId), archive, options, async () => {
      backup = await readBaseBackup(archive, backupId, options.signal);
    });
    if (isGone(manifest)) continue;
    yield manifest;
    if (backup === undefined) continue;
    yield* verifyVolumes(archive, backup, options);
  }
  for (const lineage of await listLineages(archive, options.signal)) {
    yield check(lineageKey(archive.prefix, lineage), archive, options, async () => {
      await readLineage(archive, lineage, options.signal);
    });
    yield* verifyWalObjects(archive, lineage, options);
    for (const indexes of (await listSegmentIndexes(archive, lineage, options.signal)).values())
      for (const index of indexes) {
        const object = await check(segmentIndexKey(archive.prefix, index), archive, options, async () => {
          await readSegmentIndex(archive, index, options.signal);
        });
        if (!isGone(object)) yield object;
      }
  }
}

async function* verifyNamedArchive(
  repository: Repository,
  { key, manifest }: { readonly key: string; readonly manifest: LogicalManifest },
  identity: string,
  options: VerifyOptions,
): AsyncGenerator<CheckedObject> {
  const object = await check(manifest.archive.key, repository, options, () =>
    verifyLogicalArchive(repository, manifest, identity, options),
  );
  // A backup is removed manifest first.
  if (!isGone(object) || (await sizeOf(repository, key, options)) > 0) yield object;
}

async function* verifyVolumes(
  archive: PhysicalArchive,
  backup: BaseBackupManifest,
  options: VerifyOptions,
): AsyncGenerator<CheckedObject> {
  const { backupId, volumes, serverManifest } = backup;
  const objects: readonly (readonly [key: string, expected: StoredBytes])[] = [
    ...volumes.map((volume) => [baseVolumeKey(archive.prefix, backupId, volume.number), volume] as const),
    [serverManifestKey(archive.prefix, backupId), serverManifest],
  ];
  for (const [key, expected] of objects) {
    const object = await checkStored(archive, key, expected, options);
    // Retention removes a manifest first: then this is no backup any more.
    const isRemoved =
      isGone(object) && (await sizeOf(archive, baseManifestKey(archive.prefix, backupId), options)) === 0;
    if (isRemoved) return;
    yield object;
  }
}

async function* verifyWalObjects(
  archive: PhysicalArchive,
  lineage: LineageId,
  options: VerifyOptions,
): AsyncGenerator<CheckedObject> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  let segment: WalPiece[] = [];
  // Names come in order, so the pieces of a segment come together.
  for await (const { key, sizeBytes } of archive.store.list(lineageWalPrefix(archive.prefix, lineage), call)) {
    const piece: { current?: WalPiece } = {};
    const problem = await problemOf(async () => {
      const object = parseLineageKey(archive.prefix, lineage, key);
      if (object.kind === "history") await verifyHistory(archive, object.history, options);
      else if (object.kind === "piece") piece.current = object.piece;
      else await drain(readObject(archive, key, { signal: options.signal }));
      if (object.kind === "piece" && options.isDeep) await drain(readWalPiece(archive, object.piece, options.signal));
    }, options);
    // Merged or removed since it was listed. WAL commits itself: what is missing of it shows as a hole.
    if (isGone({ problem })) continue;
    yield { key, storedBytes: sizeBytes, problem };
    if (piece.current === undefined) continue;
    if (segment[0]?.segment !== piece.current.segment) {
      yield* verifyOverlaps(archive, segment, options);
      segment = [];
    }
    if (problem === undefined) segment.push(piece.current);
  }
  yield* verifyOverlaps(archive, segment, options);
}

/** Pieces that are each what their names promise can still contradict each other. */
async function* verifyOverlaps(
  archive: PhysicalArchive,
  pieces: readonly WalPiece[],
  options: VerifyOptions,
): AsyncGenerator<CheckedObject> {
  const [first] = pieces;
  if (!options.isDeep || first === undefined || pieces.length === 1) return;
  const problem = await problemOf(() => drain(readSegment(archive, pieces, options.signal)), options);
  if (problem !== undefined && !isGone({ problem }))
    yield { key: walPieceKey(archive.prefix, first), storedBytes: 0, problem };
}

async function verifyHistory(archive: PhysicalArchive, history: StoredHistory, options: VerifyOptions): Promise<void> {
  const key = historyKey(archive.prefix, history);
  const mac = await nameMac(archive, readObject(archive, key, { signal: options.signal }));
  if (mac !== history.mac) throw corrupt(key, "its bytes are not those that its name promises");
}

async function checkStored(
  archive: PhysicalArchive,
  key: string,
  expected: StoredBytes,
  options: VerifyOptions,
): Promise<CheckedObject> {
  return check(key, archive, options, async (storedBytes) => {
    if (storedBytes !== expected.storedBytes)
      throw corrupt(key, `it has ${storedBytes} bytes, expected ${expected.storedBytes}`);
    if (!options.isDeep) return;
    const stored = createHash("sha256");
    const onStored = (chunk: Uint8Array): void => void stored.update(chunk);
    const plain = await sha256Of(readObject(archive, key, { signal: options.signal, onStored }));
    if (stored.digest("hex") !== expected.storedSha256) throw corrupt(key, "its stored bytes have another SHA-256");
    if (plain !== expected.plainSha256) throw corrupt(key, "its plain bytes have another SHA-256");
  });
}

async function verifyLogicalArchive(
  repository: Repository,
  manifest: LogicalManifest,
  identity: string,
  { isDeep, signal }: VerifyOptions,
): Promise<void> {
  const call = signal === undefined ? {} : { signal };
  const { key, sha256, storedSha256 } = manifest.archive;
  const archive = await openLogicalArchive(repository, manifest, identity, call);
  if (!isDeep) return;
  if ((await sha256Of(repository.store.get(key, call))) !== storedSha256)
    throw corrupt(key, "its stored bytes have another SHA-256");
  if ((await sha256Of(archive.read(undefined, signal))) !== sha256)
    throw corrupt(key, "its plain bytes have another SHA-256");
}

async function check(
  key: string,
  { store }: Pick<Repository, "store">,
  options: VerifyOptions,
  work: (storedBytes: number) => Promise<void>,
): Promise<CheckedObject> {
  const storedBytes = await sizeOf({ store }, key, options);
  const problem = await problemOf(() => work(storedBytes), options);
  return { key, storedBytes, problem };
}

/** What is wrong with one object is a finding; that nothing can be read at all is a failure. */
async function problemOf(work: () => Promise<void>, { signal }: VerifyOptions): Promise<TidemarkError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    const problem = asTidemarkError(error);
    if (!FINDINGS.has(problem.code)) throw error;
    return problem;
  }
}

function isGone({ problem }: Pick<CheckedObject, "problem">): boolean {
  return problem?.code === "object_not_found";
}

async function sizeOf({ store }: Pick<Repository, "store">, key: string, { signal }: VerifyOptions): Promise<number> {
  return (await store.head(key, signal === undefined ? {} : { signal }))?.sizeBytes ?? 0;
}

async function sha256Of(bytes: ByteStream): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of bytes) hash.update(chunk);
  return hash.digest("hex");
}

async function drain(bytes: ByteStream): Promise<void> {
  for await (const chunk of bytes) void chunk;
}

function corrupt(key: string, how: string): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot rely on "${key}": ${how}`, {
    hint: "The stored bytes were changed or cut; check the storage",
  });
}
