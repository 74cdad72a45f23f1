import type { Lsn } from "../core/lsn.ts";

/** A timeline that a restore in place has made. */
export interface KnownBranch {
  readonly lineage: string;
  readonly timeline: number;
  /** What it branched off, and where. */
  readonly parent: number;
  readonly at: Lsn;
  /** When another took its place; null for the live one. */
  readonly leftAt: Date | null;
}

/** What of a base backup says to which branches it leads. */
export interface BranchBase {
  readonly id: string;
  readonly lineage: string;
  readonly timeline: number;
  /** Where its copy became consistent. */
  readonly stopLsn: Lsn;
  readonly finishedAt: Date;
  readonly isRestorable: boolean;
}

/**
 * The base backups that branches' first moments are restored from. Until a branch has a base backup of its own, the way to it begins before it branched off, and a backup
 * that was finished later may lie on what it left. Pure.
 *
 * @param windowStart moments before it need not be restorable
 * @returns their ids
 */
export function basesOfBranches(
  { branches, bases }: { readonly branches: readonly KnownBranch[]; readonly bases: readonly BranchBase[] },
  windowStart: Date,
): ReadonlySet<string> {
  const needed = new Set<string>();
  for (const branch of branches) {
    if (branch.leftAt !== null && branch.leftAt <= windowStart) continue;
    const hasOwn = bases.some((base) => isOn(branch, base) && base.isRestorable && base.finishedAt <= windowStart);
    if (hasOwn) continue;
    const ways = bases.filter((base) => base.isRestorable && leadsTo(branches, branch, base));
    const [newest] = ways.toSorted((one, other) => other.finishedAt.getTime() - one.finishedAt.getTime());
    if (newest !== undefined) needed.add(newest.id);
  }
  return needed;
}

function isOn(branch: KnownBranch, base: BranchBase): boolean {
  return base.lineage === branch.lineage && base.timeline === branch.timeline;
}

/** Whether the branch's past, before it branched off, holds the backup. */
function leadsTo(branches: readonly KnownBranch[], { lineage, parent, at }: KnownBranch, base: BranchBase): boolean {
  if (base.lineage !== lineage || base.stopLsn > at) return false;
  if (base.timeline === parent) return true;
  const above = branches.find((branch) => branch.lineage === lineage && branch.timeline === parent);
  return above !== undefined && leadsTo(branches, above, base);
}
