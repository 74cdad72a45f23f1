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
    ["memory", `${formatSizeSi(plan.memoryBytes)} at most`],
    ["time", duration(plan.estimate)],
  ];
  for (const { oid, originalPath, folder } of plan.tablespaces)
    rows.push(["tablespace", `${oid}, which was in ${originalPath}, into ${folder}`]);
  for (const { gid, xid } of plan.prepared)
    rows.push(["prepared", `transaction ${xid} "${gid}" comes back and holds its locks`]);
  for (const loss of plan.losses) rows.push(["lost", loss]);
  output.status(`Restore of ${databaseId} into ${plan.folder}`);
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) output.info(`${name.padEnd(width)}  ${value}`);
  for (const note of plan.notes) output.warning(note);
}

function duration({ fetchSeconds, replaySeconds, isMeasured }: RestorePlan["estimate"]): string {
  const basis = isMeasured ? "as earlier restores here" : "as an ordinary machine";
  return `about ${fetchSeconds + replaySeconds} s, ${basis}: ${fetchSeconds} s to fetch, ${replaySeconds} s to replay`;
}

function transaction({ xid, time, lsn }: PlannedTransaction): string {
  return `${time}, ${xid === null ? "a transaction" : `transaction ${xid}`} at ${lsn}`;
}
