import { lstat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import type { Lsn, TimelineId } from "../core/lsn.ts";
import type { Programs } from "../postgres/programs.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { FileOwner } from "./extract-volume.ts";
import { type LineageFacts, readRestoreFacts } from "./facts.ts";
import { fetchBaseBackup } from "./fetch.ts";
import { type MachineFacts, type RestorePlan, type RestoreRequest, planRestore, tablespacePaths } from "./plan.ts";
import { type Recovered, recover } from "./recover.ts";
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
}

export type RestoreProgress =
  | { readonly phase: "fetch"; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly phase: "recover"; readonly replayed: Lsn | undefined; readonly target: Lsn };

/**
 * Finds out what a restore would do: reads names, manifests, and the WAL from the chosen base backup to the target. Changes nothing.
 *
 * @throws `target_unreachable`, `restore_refused`, `disk_full`; as `readRestoreFacts` and `resolveTarget`
 */
export async function prepareRestore(
  archive: PhysicalArchive,
  request: RestoreRequest & TargetRequest,
  { now, signal }: { readonly now: Date; readonly signal?: AbortSignal | undefined },
): Promise<PreparedRestore> {
  const facts = await readRestoreFacts(archive, signal);
  const target = await resolveTarget(archive, facts, request, { now, signal });
  const lineage = facts.lineages.find((entry) => entry.lineage === target.branch.lineage);
  if (lineage === undefined) throw new TidemarkError("bug", "The target's lineage is one of those that were read");
  const machine = await readMachineFacts(request.folder, tablespacePaths(target));
  const plan = planRestore({ target, machine, unreadable: facts.unreadable }, request, now);
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
): Promise<Recovered> {
  const { tablespaces, folder } = plan;
  const { owner, signal, onProgress } = call;
  await fetchBaseBackup(archive, {
    base: target.base,
    folder,
    tablespaces,
    owner,
    signal,
    onProgress: (progress) => onProgress?.({ phase: "fetch", ...progress }),
  });
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
  return recovered;
}

async function readMachineFacts(folder: string, paths: readonly string[]): Promise<MachineFacts> {
  const existingPaths = new Set<string>();
  for (const path of paths) if (await exists(path)) existingPaths.add(path);
  let existing = resolve(folder);
  while (!(await exists(existing)) && dirname(existing) !== existing) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  return { existingPaths, freeDiskBytes: bavail * bsize };
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
