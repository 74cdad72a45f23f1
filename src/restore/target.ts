import type { TidemarkError } from "../core/errors.ts";
import { type Lsn, formatLsn, parseLsn } from "../core/lsn.ts";
import { type TimestampUs, formatTimestamp, timestampFromDate } from "../core/timestamp.ts";
import type {
  StandbyMinimums,
  TablespaceCreated,
  TransactionEnd,
  TransactionPrepared,
} from "../postgres/wal/record.ts";
import type { BaseBackupManifest } from "../repository/base-backup-set.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { type Branch, newestTimeline, nextStored, openBranch, usableBases } from "./branch.ts";
import type { RestoreFacts } from "./facts.ts";
import { type ReplayFacts, collectReplayFacts } from "./replay-facts.ts";
import { locateRestorePoint } from "./restore-points.ts";
import { beforeWindow, beyondStored, inHole, noBackup, unreachable } from "./target-refusals.ts";
import type { ReplayTarget, TargetRequest } from "./target-request.ts";

/** A target as one explicit record of stored WAL: reachable, and always the same one. */
export interface ResolvedTarget {
  readonly branch: Branch;
  readonly base: BaseBackupManifest;
  /** Start of the last record that is replayed. */
  readonly lsn: Lsn;
  /** Where that record ends: the position that a server at the target says it has replayed. */
  readonly endLsn: Lsn;
  /** The last commit that is in; undefined when there is none after the base backup began. */
  readonly lastCommit: TransactionEnd | undefined;
  /** The first transaction end that is left out; undefined when nothing later is stored. */
  readonly firstLeftOut: TransactionEnd | undefined;
  /** What replay up to here will meet. */
  readonly tablespacesCreated: readonly TablespaceCreated[];
  readonly minimums: StandbyMinimums;
  /** Open at the target: they come back prepared and hold their locks. */
  readonly prepared: readonly TransactionPrepared[];
  /** What a person should know: sentences. */
  readonly notes: readonly string[];
}

/** One way to find a target: from a base backup along a branch. */
interface Candidate {
  readonly branch: Branch;
  readonly base: BaseBackupManifest;
  /** The branch's next base backup. */
  readonly next: BaseBackupManifest | undefined;
  readonly hasOlder: boolean;
  /** Of a lineage that was followed by another one: what comes after its end is on that one. */
  readonly isSuperseded: boolean;
}

type Outcome =
  | { readonly kind: "found"; readonly target: ResolvedTarget }
  /** Found, but no record shows that the backup began before the wanted time: the clocks of platform and server can differ. */
  | { readonly kind: "unproven"; readonly target: ResolvedTarget }
  | { readonly kind: "too late"; readonly refusal: TidemarkError }
  | { readonly kind: "refused"; readonly refusal: TidemarkError };

/**
 * Turns a wanted moment into a record of the stored WAL, by reading the WAL from the newest base backup that can lead there.
 *
 * @param now refuses times in the future
 * @returns the target with the base backup to begin with
 * @throws `target_unreachable` with the nearest moments that would work; `wal_invalid`, `object_corrupt` and what the store throws
 */
export async function resolveTarget(
  archive: PhysicalArchive,
  facts: RestoreFacts,
  request: TargetRequest,
  { now, signal }: { readonly now: Date; readonly signal?: AbortSignal | undefined },
): Promise<ResolvedTarget> {
  const { target } = request;
  if (target.kind === "restore point") {
    const located = await locateRestorePoint(archive, facts, { ...request, target }, signal);
    return resolveTarget(archive, facts, located, { now, signal });
  }
  if (target.kind === "time" && target.time > timestampFromDate(now))
    throw await inFuture(archive, facts, { ...request, target }, { now, signal });
  let refusal: TidemarkError | undefined;
  let unproven: ResolvedTarget | undefined;
  for (const candidate of listCandidates(facts, { ...request, target })) {
    const outcome = await tryCandidate(archive, candidate, target, signal);
    if (outcome.kind === "found") return outcome.target;
    if (outcome.kind === "unproven") unproven ??= outcome.target;
    // Of several backups that are too late, the oldest one tells where the window begins.
    else refusal = outcome.refusal;
    if (outcome.kind === "refused") break;
  }
  if (unproven !== undefined) return unproven;
  throw refusal ?? noBackup(facts);
}

/** The latest moment stands in the refusal: finding it reads as much as a restore to it would. */
async function inFuture(
  archive: PhysicalArchive,
  facts: RestoreFacts,
  request: TargetRequest & { readonly target: { readonly kind: "time"; readonly time: TimestampUs } },
  { now, signal }: { readonly now: Date; readonly signal?: AbortSignal | undefined },
): Promise<TidemarkError> {
  const latest = await resolveTarget(archive, facts, { ...request, target: { kind: "latest" } }, { now, signal });
  const moment = latest.lastCommit === undefined ? latest.base.finishedAt : formatTimestamp(latest.lastCommit.time);
  return unreachable(
    `${formatTimestamp(request.target.time)} lies in the future`,
    `The latest moment that is stored is ${moment}, position ${formatLsn(latest.lsn)}`,
    { latest: moment, latest_lsn: formatLsn(latest.lsn) },
  );
}

/** On the newest lineage first, and there the newest base backup first: the less is replayed, the faster. */
function listCandidates(
  facts: RestoreFacts,
  request: Omit<TargetRequest, "target"> & { readonly target: ReplayTarget },
): readonly Candidate[] {
  const newestLineage = facts.lineages.at(-1)?.lineage;
  const wanted = facts.lineages.filter(({ lineage }) => request.lineage === undefined || request.lineage === lineage);
  const branches = wanted.toReversed().map((lineage) => {
    const timeline = request.timeline ?? newestTimeline(lineage, facts.bases);
    if (timeline === undefined) return [];
    const branch = openBranch(lineage, timeline);
    const isSuperseded = request.lineage === undefined && lineage.lineage !== newestLineage;
    const bases = usableBases(branch, facts.bases);
    return bases
      .map((base, index) => ({ branch, base, next: bases[index + 1], hasOlder: index > 0, isSuperseded }))
      .toReversed();
  });
  const usable = branches.filter((candidates) => candidates.length > 0);
  // Only a time can lie on an older lineage: its latest state is not the database's.
  return request.target.kind === "time" ? usable.flat() : (usable[0] ?? []);
}

async function tryCandidate(
  archive: PhysicalArchive,
  candidate: Candidate,
  target: ReplayTarget,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  if (isTooLate(candidate, target)) return { kind: "too late", refusal: beforeWindow(candidate.base, target) };
  const replay = await collectReplayFacts(archive, candidate, target, signal);
  if (target.kind === "time") {
    const outcome = tryTime(candidate, target.time, replay);
    return outcome.kind === "too late" && !candidate.hasOlder
      ? { kind: "too late", refusal: await beforeFirstBackup(archive, candidate, target, signal) }
      : outcome;
  }
  if (target.kind === "lsn") return tryPosition(candidate, target.lsn, replay);
  if (target.kind === "xid") return tryTransaction(candidate, target.xid, replay);
  const hole = nextStored(candidate.branch, replay.readUntil);
  return { kind: "found", target: resolved(candidate, replay, hole === undefined ? [] : [holeNote(replay, hole)]) };
}

/** What the backup's own facts say already, without any WAL. */
function isTooLate({ base, hasOlder }: Candidate, target: ReplayTarget): boolean {
  if (target.kind === "lsn") return target.lsn < parseLsn(base.stopLsn);
  return target.kind === "time" && hasOlder && target.time < backupMoment(base);
}

function tryTime(candidate: Candidate, time: TimestampUs, replay: ReplayFacts): Outcome {
  const { branch, base } = candidate;
  const { firstLater, latestStamp } = replay;
  const isProven = latestStamp !== undefined;
  const isInBackup = firstLater !== undefined && firstLater.start < parseLsn(base.stopLsn);
  if (isInBackup || (!isProven && time < backupMoment(base)))
    return { kind: "too late", refusal: beforeWindow(base, { kind: "time", time }) };
  const isBeyond = firstLater === undefined && time > (latestStamp ?? backupMoment(base));
  const hole = isBeyond ? nextStored(branch, replay.readUntil) : undefined;
  if (hole !== undefined || (isBeyond && candidate.isSuperseded))
    return { kind: "refused", refusal: inHole(candidate, replay, { wanted: formatTimestamp(time), hole }) };
  const notes = isBeyond ? [beyondNote(replay, time)] : [];
  return { kind: isProven ? "found" : "unproven", target: resolved(candidate, replay, notes) };
}

function tryPosition(candidate: Candidate, lsn: Lsn, replay: ReplayFacts): Outcome {
  if (replay.readUntil > lsn) return { kind: "found", target: resolved(candidate, replay) };
  const { branch } = candidate;
  const hole = nextStored(branch, replay.readUntil);
  const wanted = formatLsn(lsn);
  const refusal = hole === undefined ? beyondStored(replay, wanted) : inHole(candidate, replay, { wanted, hole });
  // Where one record ends the next one begins: everything before the position is stored.
  return replay.readUntil === lsn
    ? { kind: "found", target: resolved(candidate, replay) }
    : { kind: "refused", refusal };
}

function tryTransaction(candidate: Candidate, xid: number, replay: ReplayFacts): Outcome {
  if (replay.wanted === undefined)
    return {
      kind: "too late",
      refusal: unreachable(
        `transaction ${xid} ends nowhere in the stored write-ahead log`,
        "Give a time or a position instead",
      ),
    };
  const isInBackup = replay.wanted.start < parseLsn(candidate.base.stopLsn);
  if (isInBackup) return { kind: "too late", refusal: beforeWindow(candidate.base, { kind: "xid", xid }) };
  return { kind: "found", target: resolved(candidate, replay) };
}

function resolved({ branch, base }: Candidate, replay: ReplayFacts, notes: readonly string[] = []): ResolvedTarget {
  return {
    branch,
    base,
    lsn: replay.last.start,
    endLsn: replay.last.end,
    lastCommit: replay.lastCommit,
    firstLeftOut: replay.firstLater,
    tablespacesCreated: replay.tablespacesCreated,
    minimums: replay.minimums,
    prepared: replay.prepared,
    notes,
  };
}

function holeNote(replay: ReplayFacts, hole: Lsn): string {
  return (
    `Write-ahead log from ${formatLsn(replay.readUntil)} to ${formatLsn(hole)} is not stored, and no base backup was taken after it: ` +
    "the latest moment is the one before this hole"
  );
}

function beyondNote(replay: ReplayFacts, time: TimestampUs): string {
  const latest =
    replay.lastCommit === undefined ? "the base backup" : `the commit of ${formatTimestamp(replay.lastCommit.time)}`;
  return (
    `Nothing later is stored than ${latest}, so this is the latest moment; ` +
    `what the server may have committed after it and before ${formatTimestamp(time)} is in no backup`
  );
}

/**
 * The first backup was consistent when it finished, by the platform's clock; what its log holds up to there may be stamped later, by the server's. The
 * later of both is a moment that works.
 */
async function beforeFirstBackup(
  archive: PhysicalArchive,
  candidate: Candidate,
  target: { readonly kind: "time"; readonly time: TimestampUs },
  signal: AbortSignal | undefined,
): Promise<TidemarkError> {
  const { base } = candidate;
  const untilStop = { kind: "lsn", lsn: parseLsn(base.stopLsn), isExclusive: true } as const;
  const { latestStamp } = await collectReplayFacts(archive, candidate, untilStop, signal);
  const finished = backupMoment(base);
  return beforeWindow(base, target, latestStamp !== undefined && latestStamp > finished ? latestStamp : finished);
}

/** When the backup's copy became consistent, by the platform's clock. */
function backupMoment(base: BaseBackupManifest): TimestampUs {
  return timestampFromDate(new Date(base.finishedAt));
}
