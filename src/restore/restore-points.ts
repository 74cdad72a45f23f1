import { TidemarkError } from "../core/errors.ts";
import { type Lsn, formatLsn, parseLsn } from "../core/lsn.ts";
import { formatTimestamp } from "../core/timestamp.ts";
import type { RestorePoint } from "../postgres/wal/record.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { newestTimeline, openBranch, usableBases } from "./branch.ts";
import type { RestoreFacts } from "./facts.ts";
import { unreachable } from "./target-refusals.ts";
import type { TargetRequest } from "./target-request.ts";
import { scanBranch, scanTrusting } from "./wal-scan.ts";

/** Of the points that a refusal names; somebody who makes thousands looks for one of the last. */
const NAMED_POINTS_MAX = 10;

export interface FoundRestorePoint extends RestorePoint {
  readonly lineage: LineageId;
}

/**
 * Every named restore point that can be restored to, in the log's order: those after the end of the first base backup of a branch, holes excepted.
 * Reads the indexes of whole segments, and the log that has none.
 *
 * @param request narrows it to one lineage or timeline; else the newest timeline of each lineage
 * @throws as `scanBranch`
 */
export async function listRestorePoints(
  archive: PhysicalArchive,
  facts: RestoreFacts,
  request: Omit<TargetRequest, "target">,
  signal?: AbortSignal,
): Promise<readonly FoundRestorePoint[]> {
  return scanTrusting((mayPass) => findRestorePoints(archive, facts, { ...request, mayPass }, signal));
}

async function findRestorePoints(
  archive: PhysicalArchive,
  facts: RestoreFacts,
  request: Omit<TargetRequest, "target"> & { readonly mayPass: boolean },
  signal: AbortSignal | undefined,
): Promise<readonly FoundRestorePoint[]> {
  const found: FoundRestorePoint[] = [];
  for (const lineage of facts.lineages) {
    if (request.lineage !== undefined && request.lineage !== lineage.lineage) continue;
    const timeline = request.timeline ?? newestTimeline(lineage, facts.bases);
    if (timeline === undefined) continue;
    const branch = openBranch(lineage, timeline);
    let readUntil: Lsn | undefined;
    for (const base of usableBases(branch, facts.bases)) {
      const [start, stop] = [parseLsn(base.startLsn), parseLsn(base.stopLsn)];
      // The log of a later backup was read with that of an earlier one, unless a hole lies between them.
      if (readUntil !== undefined && stop <= readUntil) continue;
      const take = (point: RestorePoint): void => {
        if (point.start >= stop) found.push({ ...point, lineage: lineage.lineage });
      };
      readUntil = await scanBranch(archive, branch, {
        from: start,
        visit({ fact }) {
          if (fact?.kind === "restore point") take(fact);
          return undefined;
        },
        pass({ index }) {
          if (request.mayPass) for (const point of index.restorePoints) take(point);
          return request.mayPass;
        },
        signal,
      });
    }
  }
  return found;
}

/**
 * Turns a named restore point into the position of its record.
 *
 * @throws `target_unreachable` when no point, or more than one, has this name, with those that there are
 */
export async function locateRestorePoint(
  archive: PhysicalArchive,
  facts: RestoreFacts,
  request: TargetRequest & { readonly target: { readonly kind: "restore point"; readonly name: string } },
  signal?: AbortSignal,
): Promise<TargetRequest> {
  const { name } = request.target;
  const points = await listRestorePoints(archive, facts, request, signal);
  const [first, ...others] = points.filter((point) => point.name === name);
  if (first === undefined) throw unknownName(name, points);
  if (others.length > 0) throw ambiguousName(name, [first, ...others]);
  return { ...request, lineage: first.lineage, target: { kind: "lsn", lsn: first.start } };
}

function unknownName(name: string, points: readonly FoundRestorePoint[]): TidemarkError {
  const how = `no restore point in the stored write-ahead log has the name "${name}"`;
  if (points.length === 0)
    return unreachable(how, "There is none at all on this branch: give a time or a position instead");
  const names = points.slice(-NAMED_POINTS_MAX).map((point) => `"${point.name}" of ${formatTimestamp(point.time)}`);
  return unreachable(how, `The last ones are ${names.join(", ")}`);
}

function ambiguousName(name: string, points: readonly FoundRestorePoint[]): TidemarkError {
  const moments = points.slice(-NAMED_POINTS_MAX).map(({ time, start }) => {
    return `${formatTimestamp(time)} at ${formatLsn(start)}`;
  });
  return unreachable(
    `${points.length} restore points have the name "${name}"`,
    `Give the position of the one that you mean: ${moments.join(", ")}`,
    { restore_points: moments.join(", ") },
  );
}
