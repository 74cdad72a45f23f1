import type { PlannedTransaction, RestorePlan } from "../restore/plan.ts";
import type { Output } from "./output.ts";
import { formatSizeSi } from "./size-text.ts";

/** Tells a plan to a person. */
export function showPlan(output: Output, databaseId: string, plan: RestorePlan): void {
  const { base, target, wal } = plan;
  const rows: (readonly [string, string])[] = [
    ["up to", target.lastCommit === null ? `the base backup's end, ${target.lsn}` : transaction(target.lastCommit)],
    [
      "left out",
      target.firstLeftOut === null ? "nothing that is stored" : `from ${transaction(target.firstLeftOut)} on`,
    ],
    ["base backup", `${base.backupId} of ${base.finishedAt}, ${base.volumes} volumes`],
    ["log", `${wal.segments} segments of timeline ${plan.timeline}, replayed to ${target.endLsn}`],
    ["to fetch", `${formatSizeSi(plan.fetchBytes)} at most`],
    ["disk", `${formatSizeSi(plan.diskBytes)} at most`],
  ];
  for (const { oid, originalPath, folder } of plan.tablespaces)
    rows.push(["tablespace", `${oid}, which was in ${originalPath}, into ${folder}`]);
  for (const { gid, xid } of plan.prepared)
    rows.push(["prepared", `transaction ${xid} "${gid}" comes back and holds its locks`]);
  output.status(`Restore of ${databaseId} into ${plan.folder}`);
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) output.info(`${name.padEnd(width)}  ${value}`);
  for (const note of plan.notes) output.warning(note);
}

function transaction({ xid, time, lsn }: PlannedTransaction): string {
  return `${time}, ${xid === null ? "a transaction" : `transaction ${xid}`} at ${lsn}`;
}
