import { TidemarkError, asTidemarkError } from "../core/errors.ts";
import {
  type Lsn,
  type TimelineId,
  formatLsn,
  parseLsn,
  parseSegmentName,
  segmentStart,
  toTimelineId,
} from "../core/lsn.ts";
import { SegmentIndexer } from "../postgres/wal/segment-index.ts";
import { encodeSegmentIndex } from "../postgres/wal/segment-index-json.ts";
import { listDatabaseIds, readDatabaseKey } from "../repository/database-keys.ts";
import type { BaseBackupManifest } from "../repository/base-backup-set.ts";
import { type PhysicalArchive, openPhysicalArchive } from "../repository/physical-archive.ts";
import { segmentIndexKey, timelineWalPrefix } from "../repository/physical-layout.ts";
import { databaseKeyKey } from "../repository/layout.ts";
import type { Repository } from "../repository/repository.ts";
import { readSegmentIndex } from "../repository/wal-index.ts";
import {
  type CheckedObject,
  type VerifyOptions,
  verifyLogicalObjects,
  verifyPhysicalObjects,
} from "../repository/verify-objects.ts";
import { type Branch, isOnBranch, nextStored, openBranch, reachableUntil, walkBranch } from "./branch.ts";
import { type LineageFacts, type RestoreFacts, readRestoreFacts } from "./facts.ts";
import { storedIndex } from "./segment-indexes.ts";
import { scanBranch } from "./wal-scan.ts";

export interface BadObject {
  readonly databaseId: string;
  readonly key: string;
  readonly code: TidemarkError["code"];
  readonly message: string;
}

/** Write-ahead log that base backups' chains lack. */
export interface Hole {
  readonly databaseId: string;
  readonly lineage: string;
  readonly timeline: number;
  readonly from: string;
  readonly to: string;
  /** The base backups that lead to the moment before it only. */
  readonly cutBackups: readonly string[];
  /** Those that can't be restored at all, since it lies before their own end. */
  readonly lostBackups: readonly string[];
}

/** Plain data. */
export interface Verification {
  readonly isSound: boolean;
  readonly databases: number;
  readonly objects: number;
  readonly storedBytes: number;
  /** Base backups whose chain was followed. */
  readonly chains: number;
  readonly badObjects: readonly BadObject[];
  readonly holes: readonly Hole[];
}

export interface VerifyRequest extends VerifyOptions {
  /** Unwraps a database's identity by the master key. */
  readonly unwrap: (databaseId: string, wrappedIdentity: Uint8Array) => Promise<string>;
  /** One database alone. */
  readonly databaseId?: string | undefined;
  readonly onObject?: (done: { readonly objects: number; readonly storedBytes: number }) => void;
}

/**
 * Checks all that a repository holds: every object against its name, manifest or hash, and every base backup's write-ahead log for holes, along each
 * branch; when it is deep also record by record. Needs the store and the master key alone, and changes nothing.
 *
 * @returns what was found; a bad object hides no other
 * @throws what the store throws
 */
export async function verifyRepository(repository: Repository, request: VerifyRequest): Promise<Verification> {
  const tally = new Tally(request);
  const call = request.signal === undefined ? {} : { signal: request.signal };
  for await (const databaseId of listDatabaseIds(repository, call)) {
    if (request.databaseId !== undefined && request.databaseId !== databaseId) continue;
    const wrapped = await readDatabaseKey(repository, databaseId, call);
    if (wrapped === undefined) continue;
    tally.databases += 1;
    const key = databaseKeyKey(databaseId);
    let identity: string;
    try {
      identity = await request.unwrap(databaseId, wrapped);
      tally.add(databaseId, { key, storedBytes: wrapped.length, problem: undefined });
    } catch (error) {
      tally.add(databaseId, { key, storedBytes: wrapped.length, problem: asTidemarkError(error) });
      continue;
    }
    for await (const object of verifyLogicalObjects(repository, { databaseId, identity }, request))
      tally.add(databaseId, object);
    const archive = openPhysicalArchive({ repository, databaseId, identity, recipients: [], framesInFlight: 1 });
    for await (const object of verifyPhysicalObjects(archive, request)) tally.add(databaseId, object);
    await verifyChains(archive, databaseId, { tally, request });
  }
  return tally.result();
}

type HolePlace = Omit<Hole, "cutBackups" | "lostBackups">;

class Tally {
  readonly #request: VerifyRequest;
  readonly #bad: BadObject[] = [];
  readonly #holes = new Map<string, { place: HolePlace; cut: Set<string>; lost: Set<string> }>();
  #objects = 0;
  #storedBytes = 0;
  databases = 0;
  chains = 0;

  constructor(request: VerifyRequest) {
    this.#request = request;
  }

  add(databaseId: string, { key, storedBytes, problem }: CheckedObject): void {
    this.#objects += 1;
    this.#storedBytes += storedBytes;
    if (problem !== undefined) this.#bad.push({ databaseId, key, code: problem.code, message: problem.message });
    this.#request.onObject?.({ objects: this.#objects, storedBytes: this.#storedBytes });
  }

  hasBadObject(databaseId: string): boolean {
    return this.#bad.some((bad) => bad.databaseId === databaseId);
  }

  /** One hole can cut the chains of many backups, on several branches: it is named once. */
  addHole(place: HolePlace, backupId: string, isLost: boolean): void {
    const id = `${place.databaseId} ${place.lineage} ${place.timeline} ${place.from}`;
    const hole = this.#holes.get(id) ?? { place, cut: new Set<string>(), lost: new Set<string>() };
    (isLost ? hole.lost : hole.cut).add(backupId);
    this.#holes.set(id, hole);
  }

  result(): Verification {
    const { databases, chains } = this;
    const holes: Hole[] = [];
    for (const { place, cut, lost } of this.#holes.values())
      holes.push({ ...place, cutBackups: [...cut], lostBackups: [...lost] });
    return {
      isSound: this.#bad.length === 0 && holes.length === 0,
      databases,
      objects: this.#objects,
      storedBytes: this.#storedBytes,
      chains,
      badObjects: this.#bad,
      holes,
    };
  }
}

async function verifyChains(
  archive: PhysicalArchive,
  databaseId: string,
  { tally, request }: { readonly tally: Tally; readonly request: VerifyRequest },
): Promise<void> {
  let facts: RestoreFacts;
  try {
    facts = await readRestoreFacts(archive, request.signal);
  } catch (error) {
    // Whatever keeps the facts from being read is a bad object that was named above.
    if (tally.hasBadObject(databaseId)) return;
    throw error;
  }
  tally.chains += facts.bases.length;
  for (const lineage of facts.lineages)
    for (const timeline of knownTimelines(lineage, facts)) {
      const branch = openBranch(lineage, timeline);
      const bases = facts.bases.filter((base) => isOnBranch(branch, base));
      for (const base of bases) noteHole(branch, base, { tally, databaseId });
      if (request.isDeep) await verifyRecords(archive, { databaseId, branch, bases }, { tally, request });
    }
}

function noteHole(
  branch: Branch,
  base: BaseBackupManifest,
  { tally, databaseId }: { readonly tally: Tally; readonly databaseId: string },
): void {
  const stop = parseLsn(base.stopLsn);
  const reached = reachableUntil(branch, parseLsn(base.startLsn));
  const isLost = reached < stop;
  const to = nextStored(branch, reached) ?? (isLost ? stop : undefined);
  if (to === undefined) return;
  const place = { databaseId, lineage: branch.lineage, timeline: timelineAt(branch, reached) };
  tally.addHole({ ...place, from: formatLsn(reached), to: formatLsn(to) }, base.backupId, isLost);
}

/** Bytes can be those that were stored and still be no log: each record's CRC and its link to the one before tell. */
async function verifyRecords(
  archive: PhysicalArchive,
  chain: { readonly databaseId: string; readonly branch: Branch; readonly bases: readonly BaseBackupManifest[] },
  { tally, request }: { readonly tally: Tally; readonly request: VerifyRequest },
): Promise<void> {
  const { databaseId, branch, bases } = chain;
  const { signal } = request;
  let readUntil: Lsn | undefined;
  for (const base of bases) {
    const from = parseLsn(base.startLsn);
    if (readUntil !== undefined && from < readUntil) continue;
    try {
      readUntil = await verifyIndexedRecords(archive, branch, { from, signal });
    } catch (error) {
      const problem = asTidemarkError(error);
      const isNamedAlready = problem.code !== "wal_invalid" && tally.hasBadObject(databaseId);
      if (problem.code !== "wal_invalid" && !isNamedAlready) throw error;
      const key = timelineWalPrefix(archive.prefix, branch.lineage, branch.timeline);
      if (!isNamedAlready) tally.add(databaseId, { key, storedBytes: 0, problem });
      return;
    }
  }
}

/** An index is believed when a restore is planned, so it must say what the records say. */
async function verifyIndexedRecords(
  archive: PhysicalArchive,
  branch: Branch,
  { from, signal }: { readonly from: Lsn; readonly signal: AbortSignal | undefined },
): Promise<Lsn> {
  const made = new Map<Lsn, Buffer>();
  const { segmentSize } = branch;
  const indexer = new SegmentIndexer(segmentStart(from, segmentSize), segmentSize, (start, index) => {
    made.set(start, encodeSegmentIndex(index));
  });
  const readUntil = await scanBranch(archive, branch, {
    from,
    visit({ record, fact }) {
      indexer.take(record, fact);
      return undefined;
    },
    signal,
  });
  for (const segment of walkBranch(branch, from)) {
    const expected = made.get(segment.start);
    const stored = expected === undefined ? undefined : storedIndex(branch, segment);
    if (expected === undefined || stored === undefined) continue;
    if (!expected.equals(await readSegmentIndex(archive, stored, signal)))
      throw new TidemarkError(
        "wal_invalid",
        `The index of segment "${segment.name}" says something else than its records`,
        { hint: `Remove the object "${segmentIndexKey(archive.prefix, stored)}": the log itself is whole` },
      );
  }
  return readUntil;
}

function knownTimelines(lineage: LineageFacts, facts: RestoreFacts): readonly TimelineId[] {
  const known = new Set<TimelineId>(lineage.histories.keys());
  for (const name of lineage.inventory.segments.keys()) known.add(parseSegmentName(name, lineage.segmentSize).timeline);
  for (const base of facts.bases) if (base.lineage === lineage.lineage) known.add(toTimelineId(base.stopTimeline));
  return [...known].toSorted((first, second) => first - second);
}

function timelineAt(branch: Branch, lsn: Lsn): TimelineId {
  const stretch = branch.stretches.find(({ from, to }) => lsn >= from && (to === undefined || lsn < to));
  return stretch?.timeline ?? branch.timeline;
}
