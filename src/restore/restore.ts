import { lstat, readFile, statfs } from "node:fs/promises";
import { freemem } from "node:os";
import { dirname, resolve } from "node:path";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import type { TimelineId } from "../core/lsn.ts";
import { BackupManifestReader } from "../postgres/backup-manifest.ts";
import type { Programs } from "../postgres/programs.ts";
import { type BaseBackupManifest, readServerManifest } from "../repository/base-backup-set.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { FileOwner } from "./owned-files.ts";
import { type LineageFacts, readRestoreFacts } from "./facts.ts";
import { fetchBaseBackup } from "./fetch.ts";
import type { RestoreRates } from "./plan-estimate.ts";
import { type MachineFacts, type RestorePlan, type RestoreRequest, planRestore, tablespacePaths } from "./plan.ts";
import { type RecoverRequest, type Recovered, type ReplayProgress, recover } from "./recover.ts";
import { disarm, removeWorkFolder } from "./restore-folder.ts";
import { type ResolvedTarget, resolveTarget } from "./target.ts";
import type { TargetRequest } from "./target-request.ts";

export interface PreparedRestore {
  readonly plan: RestorePlan;
  readonly target: ResolvedTarget;
  readonly lineage: LineageFacts;
}

export interface RestoreCall {
  /** Of the backup's major version. */
  readonly programs: Programs;
  /** Who shall own the folder and run the server, when root restores. */
  readonly owner?: FileOwner | undefined;
  /** Empty, private to the owner, on a short path. */
  readonly runFolder: string;
  /** Roles of which the cluster has one that may log in, tried in this order. */
  readonly roles: readonly [string, ...string[]];
  readonly end: "paused" | "open";
  readonly nextTimeline?: TimelineId | undefined;
  readonly clock: Clock;
  readonly pid: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
  /** As of `recover`. */
  readonly onPaused?: RecoverRequest["onPaused"];
  readonly onOpen?: RecoverRequest["onOpen"];
}

export type RestoreProgress =
  | { readonly phase: "fetch"; readonly doneBytes: number; readonly totalBytes: number }
  | ({ readonly phase: "recover" } & ReplayProgress);

/** What was restored, and how fast. */
export interface Executed extends Recovered {
  /** Undefined when there was too little to measure by. */
  readonly rates: RestoreRates | undefined;
}

/** Linux tells here what can be had without swapping; what is merely free leaves out the cache. */
const MEMORY_FACTS = "/proc/meminfo";
const BYTES_PER_KB = 1024;
/** A shorter phase is all starting up, and says nothing about the next restore. */
const MEASURED_BYTES_MIN = 64 * 1024 * 1024;

/**
 * Finds out what a restore would do: reads names, manifests, and the WAL from the chosen base backup to the target. Changes nothing.
 *
 * @param rates of earlier restores on this machine, for the estimated time
 * @throws `target_unreachable`, `restore_refused`, `disk_full`, `memory_low`; as `readRestoreFacts` and `resolveTarget`
 */
export async function prepareRestore(
  archive: PhysicalArchive,
  request: RestoreRequest & TargetRequest,
  {
    now,
    signal,
    rates,
  }: {
    readonly now: Date;
    readonly signal?: AbortSignal | undefined;
    readonly rates?: RestoreRates | undefined;
  },
): Promise<PreparedRestore> {
  const facts = await readRestoreFacts(archive, signal);
  const target = await resolveTarget(archive, facts, request, { now, signal });
  const lineage = facts.lineages.find((entry) => entry.lineage === target.branch.lineage);
  if (lineage === undefined) throw new TidemarkError("bug", "The target's lineage is one of those that were read");
  const machine = await readMachineFacts(request.folder, tablespacePaths(target));
  const unloggedRelations = await countUnlogged(archive, target.base, signal);
  const { unreadable } = facts;
  const plan = planRestore({ target, machine, unreadable, unloggedRelations, rates }, request, now);
  return { plan, target, lineage };
}

/**
 * Carries out a prepared restore: fetches the base backup, recovers it to the target and proves that it got there.
 *
 * @param call.signal ends it. An interrupted restore leaves a folder that doesn't start; remove it before the next attempt
 * @throws as `fetchBaseBackup` and `recover`
 */
export async function executeRestore(
  archive: PhysicalArchive,
  { plan, target, lineage }: PreparedRestore,
  call: RestoreCall,
): Promise<Executed> {
  const { tablespaces, folder } = plan;
  const { owner, signal, onProgress, clock } = call;
  const startedMs = clock.now().getTime();
  await fetchBaseBackup(archive, {
    base: target.base,
    folder,
    tablespaces,
    owner,
    signal,
    onProgress: (progress) => onProgress?.({ phase: "fetch", ...progress }),
  });
  const fetchedMs = clock.now().getTime();
  const recovered = await recover(archive, {
    ...call,
    dataFolder: folder,
    target,
    lineage,
    tablespaces,
    onProgress: (progress) => onProgress?.({ phase: "recover", ...progress }),
  }).catch(async (error: unknown) => {
    await disarm(folder);
    throw error;
  });
  if (recovered.running === undefined) await removeWorkFolder(folder);
  const replayedMs = clock.now().getTime();
  const rates = measured(
    { bytes: target.base.dataBytes, ms: fetchedMs - startedMs },
    { bytes: plan.wal.bytes, ms: replayedMs - fetchedMs },
  );
  return { ...recovered, rates };
}

interface Phase {
  readonly bytes: number;
  readonly ms: number;
}

function measured(fetch: Phase, replay: Phase): RestoreRates | undefined {
  if (fetch.bytes < MEASURED_BYTES_MIN || replay.bytes < MEASURED_BYTES_MIN) return undefined;
  return { fetchBytesPerSecond: perSecond(fetch), replayBytesPerSecond: perSecond(replay) };
}

function perSecond({ bytes, ms }: Phase): number {
  return (bytes * 1000) / Math.max(1, ms);
}

/** Each has an init fork, from which PostgreSQL makes it anew and empty after a recovery. */
async function countUnlogged(
  archive: PhysicalArchive,
  base: BaseBackupManifest,
  signal: AbortSignal | undefined,
): Promise<number> {
  let count = 0;
  const reader = new BackupManifestReader(({ path }) => {
    if (/\/\d+_init$/.test(path.toString("latin1"))) count += 1;
  });
  for await (const chunk of readServerManifest(archive, base, { signal }))
    reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  reader.finish();
  return count;
}

async function readMachineFacts(folder: string, paths: readonly string[]): Promise<MachineFacts> {
  const existingPaths = new Set<string>();
  for (const path of paths) if (await exists(path)) existingPaths.add(path);
  let existing = resolve(folder);
  while (!(await exists(existing)) && dirname(existing) !== existing) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  return { existingPaths, freeDiskBytes: bavail * bsize, availableMemoryBytes: await availableMemoryBytes() };
}

async function availableMemoryBytes(): Promise<number> {
  const facts = await readFile(MEMORY_FACTS, "utf8").catch(() => "");
  const availableKb = /^MemAvailable:\s+(\d+) kB$/m.exec(facts)?.[1];
  return availableKb === undefined ? freemem() : Number(availableKb) * BYTES_PER_KB;
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" || systemErrorCode(error) === "ENOTDIR") return false;
    throw error;
  }
}
