import { TidemarkError } from "../core/errors.ts";
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
import type { RestoreTarget, TargetRequest } from "./target-request.ts";

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
  if (target.kind === "time" && target.time > timestampFromDate(now))
    throw unreachable(`${formatTimestamp(target.time)} lies in the future`, "Take the latest moment instead");
  let refusal: TidemarkError | undefined;
  let unproven: ResolvedTarget | undefined;
  for (const candidate of listCandidates(facts, request)) {
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

/** On the newest lineage first, and there the newest base backup first: the less is replayed, the faster. */
function listCandidates(facts: RestoreFacts, request: TargetRequest): readonly Candidate[] {
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
  target: RestoreTarget,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  if (isTooLate(candidate, target)) return { kind: "too late", refusal: beforeWindow(candidate.base, target) };
  const replay = await collectReplayFacts(archive, candidate, target, signal);
  if (target.kind === "time") return tryTime(candidate, target.time, replay);
  if (target.kind === "lsn") return tryPosition(candidate, target.lsn, replay);
  if (target.kind === "xid") return tryTransaction(candidate, target.xid, replay);
  const hole = nextStored(candidate.branch, replay.readUntil);
  return { kind: "found", target: resolved(candidate, replay, hole === undefined ? [] : [holeNote(replay, hole)]) };
}

/** What the backup's own facts say already, without any WAL. */
function isTooLate({ base, hasOlder }: Candidate, target: RestoreTarget): boolean {
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

/** When the backup's copy became consistent, by the platform's clock. */
function backupMoment(base: BaseBackupManifest): TimestampUs {
  return timestampFromDate(new Date(base.finishedAt));
}

function beforeWindow(base: BaseBackupManifest, target: RestoreTarget): TidemarkError {
  const wanted =
    target.kind === "time"
      ? formatTimestamp(target.time)
      : target.kind === "lsn"
        ? formatLsn(target.lsn)
        : "this moment";
  return unreachable(
    `${wanted} lies before the end of the first base backup that could lead there`,
    `The earliest moment is ${base.finishedAt}, position ${base.stopLsn}`,
    { earliest: base.finishedAt, earliest_lsn: base.stopLsn },
  );
}

function inHole(
  { next }: Candidate,
  replay: ReplayFacts,
  { wanted, hole }: { readonly wanted: string; readonly hole: Lsn | undefined },
): TidemarkError {
  const from = formatLsn(replay.readUntil);
  const before =
    replay.lastCommit === undefined ? formatLsn(replay.last.start) : formatTimestamp(replay.lastCommit.time);
  const after = next?.finishedAt;
  const end = hole === undefined ? "where the server was replaced by another" : `to ${formatLsn(hole)}`;
  return unreachable(
    `${wanted} lies in a hole: write-ahead log from ${from} ${end} is not stored`,
    `The last moment before it is ${before}${after === undefined ? "" : `; the first one after it is ${after}`}`,
    {
      hole_from: from,
      before,
      ...(hole === undefined ? {} : { hole_to: formatLsn(hole) }),
      ...(after === undefined ? {} : { after }),
    },
  );
}

function beyondStored(replay: ReplayFacts, wanted: string): TidemarkError {
  const latest = formatLsn(replay.last.start);
  return unreachable(
    `${wanted} lies after all that is stored, which ends at ${formatLsn(replay.readUntil)}`,
    `Take the latest moment instead, or position ${latest}`,
    { latest_lsn: latest },
  );
}

function noBackup(facts: RestoreFacts): TidemarkError {
  const count = facts.bases.length + facts.unreadable.length;
  const how =
    count === 0
      ? "there is no base backup"
      : `none of ${count} base backups of this branch has all its write-ahead log`;
  return unreachable(how, "See what is stored and what is wrong with it: tidemark repository verify");
}

function unreachable(how: string, hint: string, details: Record<string, string> = {}): TidemarkError {
  return new TidemarkError("target_unreachable", `Cannot restore: ${how}`, { hint, details });
}
