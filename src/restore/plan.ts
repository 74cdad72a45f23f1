import { isAbsolute } from "node:path";
import { TidemarkError } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import { type Lsn, type TimelineId, formatLsn, parseLsn } from "../core/lsn.ts";
import { formatTimestamp } from "../core/timestamp.ts";
import type { StandbyMinimums, TransactionEnd } from "../postgres/wal/record.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { walkBranch } from "./branch.ts";
import type { RestoreFacts } from "./facts.ts";
import { type RestoreEstimate, type RestoreRates, copyMemoryBytes, estimateRestore } from "./plan-estimate.ts";
import { type RestoredPasswords, restoreLosses } from "./plan-losses.ts";
import type { ResolvedTarget } from "./target.ts";
import { WAL_SPOOL_BYTES_MAX } from "./wal-feed.ts";

/** A recovering server keeps restored WAL until its next restartpoint: max_wal_size, which recovery leaves at its default. */
const WAL_KEPT_BYTES_MAX = 1024 * 1024 * 1024;

export interface RestoreRequest {
  /** Where the data folder shall be; absolute, absent or empty. */
  readonly folder: string;
  /** Folder for each tablespace, by OID; absolute, absent or empty. */
  readonly tablespaces: ReadonlyMap<string, string>;
  /** Which ones its roles shall have; those of then by default. */
  readonly passwords?: RestoredPasswords;
}

/** What is known of the machine that restores. */
export interface MachineFacts {
  /** Those of the paths of tablespaces which exist here. */
  readonly existingPaths: ReadonlySet<string>;
  /** Free where the data folder shall be. */
  readonly freeDiskBytes: number;
  /** That programs can have without another giving some back. */
  readonly availableMemoryBytes: number;
}

/** Everything that a plan is made from. */
export interface PlanFacts extends Pick<RestoreFacts, "unreadable"> {
  readonly target: ResolvedTarget;
  readonly machine: MachineFacts;
  /** Unlogged tables, indexes and sequences in the base backup. */
  readonly unloggedRelations: number;
  /** Of earlier restores on this machine; undefined before the first. */
  readonly rates?: RestoreRates | undefined;
}

export interface PlannedTablespace {
  readonly oid: string;
  /** Where it lay on the server. */
  readonly originalPath: string;
  readonly folder: string;
  readonly origin: "base backup" | "write-ahead log";
}

export interface PlannedTransaction {
  readonly xid: number | null;
  readonly lsn: string;
  /** ISO 8601, UTC, microseconds. */
  readonly time: string;
}

/** What a restore will do. Plain data: positions and times are text, so that it prints and travels as JSON. */
export interface RestorePlan {
  readonly plannedAt: string;
  readonly folder: string;
  readonly lineage: LineageId;
  readonly timeline: TimelineId;
  readonly base: {
    readonly backupId: ObjectId;
    readonly finishedAt: string;
    readonly startLsn: string;
    readonly stopLsn: string;
    /** As server_version_num. */
    readonly serverVersion: number;
    readonly volumes: number;
  };
  readonly target: {
    /** recovery_target_lsn: start of the last record replayed. */
    readonly lsn: string;
    /** Where that record ends. */
    readonly endLsn: string;
    readonly lastCommit: PlannedTransaction | null;
    readonly firstLeftOut: PlannedTransaction | null;
  };
  readonly wal: { readonly segments: number; readonly bytes: number };
  /** Stored bytes of the volumes, and plain ones of the WAL, which are more than its stored ones. */
  readonly fetchBytes: number;
  /** What must be free on the disk of the data folder, tablespaces included. */
  readonly diskBytes: number;
  /** What the recovering server takes of this machine's memory at most. */
  readonly memoryBytes: number;
  readonly estimate: RestoreEstimate;
  readonly tablespaces: readonly PlannedTablespace[];
  /** The recovering server's settings are at least these. */
  readonly minimums: StandbyMinimums;
  /** Prepared transactions that come back and hold their locks. */
  readonly prepared: readonly { readonly xid: number; readonly gid: string; readonly preparedAt: string }[];
  /** What the copy is without, or has again: sentences. */
  readonly losses: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Plans a restore. Pure.
 *
 * @param facts the resolved target, what is known of backup and machine, and the backups that couldn't be considered
 * @param request where to; a tablespace without a folder is refused, since its original place may be a live one
 * @param now stands in the plan
 * @throws `restore_refused` for tablespaces that would be written where they may not, `disk_full`, `memory_low`
 */
export function planRestore(facts: PlanFacts, request: RestoreRequest, now: Date): RestorePlan {
  const { target, machine } = facts;
  const { branch, base } = target;
  const wal = sumWal(target);
  const volumeBytes = base.volumes.reduce((sum, volume) => sum + volume.storedBytes, 0);
  const plan: RestorePlan = {
    plannedAt: now.toISOString(),
    folder: request.folder,
    lineage: branch.lineage,
    timeline: branch.timeline,
    base: {
      backupId: base.backupId,
      finishedAt: base.finishedAt,
      startLsn: base.startLsn,
      stopLsn: base.stopLsn,
      serverVersion: base.serverVersion,
      volumes: base.volumes.length,
    },
    target: {
      lsn: formatLsn(target.lsn),
      endLsn: formatLsn(target.endLsn),
      lastCommit: plannedTransaction(target.lastCommit),
      firstLeftOut: plannedTransaction(target.firstLeftOut),
    },
    wal,
    fetchBytes: volumeBytes + base.serverManifest.storedBytes + wal.bytes,
    diskBytes: base.dataBytes + Math.min(wal.bytes, WAL_KEPT_BYTES_MAX) + Math.min(wal.bytes, WAL_SPOOL_BYTES_MAX),
    memoryBytes: copyMemoryBytes(target.minimums),
    estimate: estimateRestore({ dataBytes: base.dataBytes, walBytes: wal.bytes }, facts.rates),
    tablespaces: planTablespaces(target, machine, request),
    minimums: target.minimums,
    prepared: target.prepared.map(({ xid, gid, time }) => ({ xid, gid, preparedAt: formatTimestamp(time) })),
    losses: restoreLosses({
      unloggedRelations: facts.unloggedRelations,
      prepared: target.prepared,
      passwords: request.passwords,
    }),
    notes: notes(target, facts.unreadable),
  };
  requireRoom(plan, machine);
  return plan;
}

function requireRoom(plan: RestorePlan, machine: MachineFacts): void {
  if (plan.diskBytes > machine.freeDiskBytes)
    throw new TidemarkError(
      "disk_full",
      `Cannot restore into "${plan.folder}": it needs ${plan.diskBytes} bytes, ${machine.freeDiskBytes} are free`,
      { hint: "Free some space, or restore onto another disk" },
    );
  if (plan.memoryBytes > machine.availableMemoryBytes)
    throw new TidemarkError(
      "memory_low",
      `Cannot restore into "${plan.folder}": the recovering server takes up to ${plan.memoryBytes} bytes of memory, ${machine.availableMemoryBytes} are available`,
      { hint: "Stop what else needs memory on this machine, or restore on another one" },
    );
}

/** The paths that a plan must know of whether they exist here. */
export function tablespacePaths(target: ResolvedTarget): readonly string[] {
  return target.tablespacesCreated.map(({ path }) => path).filter((path) => isAbsolute(path));
}

/** The position after which no WAL is needed. */
export function walEnd(target: ResolvedTarget): Lsn {
  const stop = parseLsn(target.base.stopLsn);
  return target.endLsn > stop ? target.endLsn : stop;
}

function sumWal(target: ResolvedTarget): RestorePlan["wal"] {
  const end = walEnd(target);
  let segments = 0;
  let bytes = 0;
  for (const segment of walkBranch(target.branch, parseLsn(target.base.startLsn))) {
    if (segment.start >= end) break;
    segments += 1;
    bytes += segment.usableBytes;
  }
  return { segments, bytes };
}

function planTablespaces(
  target: ResolvedTarget,
  machine: MachineFacts,
  request: RestoreRequest,
): readonly PlannedTablespace[] {
  const planned: PlannedTablespace[] = [];
  for (const { oid, path } of target.base.tablespaces)
    planned.push({ oid, originalPath: path, folder: mapped(request, { oid, path }), origin: "base backup" });
  for (const { oid, path } of target.tablespacesCreated) {
    // An in-place tablespace lies in the data folder.
    if (!isAbsolute(path)) continue;
    if (machine.existingPaths.has(path))
      throw refused(
        `the write-ahead log creates tablespace ${oid} in "${path}", which exists on this machine: replay would write there`,
        "Restore on a machine or in a container that has no such folder, or to a moment before the tablespace was created",
      );
    planned.push({ oid, originalPath: path, folder: mapped(request, { oid, path }), origin: "write-ahead log" });
  }
  for (const oid of request.tablespaces.keys())
    if (!planned.some((tablespace) => tablespace.oid === oid))
      throw refused(`no tablespace of the backup has OID ${oid}`, "Leave it out");
  const folders = [request.folder, ...planned.map(({ folder }) => folder)];
  const twice = folders.find((folder, index) => folders.indexOf(folder) !== index);
  if (twice !== undefined) throw refused(`"${twice}" is given for two things`, "Give each a folder of its own");
  return planned;
}

function mapped(request: RestoreRequest, { oid, path }: { readonly oid: string; readonly path: string }): string {
  const folder = request.tablespaces.get(oid);
  if (folder === undefined)
    throw refused(
      `tablespace ${oid} lay in "${path}" on the server and has no folder here`,
      `Give it one: --tablespace ${oid}=FOLDER`,
    );
  if (!isAbsolute(folder)) throw refused(`"${folder}" is no absolute path`, "Give the whole path of the folder");
  return folder;
}

function notes({ base, notes: found }: ResolvedTarget, unreadable: RestoreFacts["unreadable"]): readonly string[] {
  const all = [...found];
  const { count } = base.suspectPages;
  if (count > 0)
    all.push(
      `${count} pages of the base backup had a wrong checksum; if replay doesn't rewrite them, reading them fails`,
    );
  for (const { error } of unreadable) all.push(`A base backup was left out: ${error.message}`);
  return all;
}

function plannedTransaction(end: TransactionEnd | undefined): PlannedTransaction | null {
  return end === undefined
    ? null
    : { xid: end.xid ?? null, lsn: formatLsn(end.start), time: formatTimestamp(end.time) };
}

function refused(how: string, hint: string): TidemarkError {
  return new TidemarkError("restore_refused", `Cannot restore: ${how}`, { hint });
}
