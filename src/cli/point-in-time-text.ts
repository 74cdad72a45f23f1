import type { Output } from "./output.ts";
import type { PlannedTransaction, PointInTimeOperation, PointInTimePlan } from "./point-in-time-replies.ts";
import { formatSizeSi } from "./size-text.ts";

/** Tells the plan of a restore in place to a person. */
export function showPointInTimePlan(output: Output, database: string, plan: PointInTimePlan): void {
  const { target, base_backup: base } = plan;
  const rows: (readonly [string, string])[] = [
    ["up to", target.last_commit === null ? `the base backup's end, ${target.lsn}` : transaction(target.last_commit)],
    [
      "left out",
      target.first_left_out === null ? "nothing that is stored" : `from ${transaction(target.first_left_out)} on`,
    ],
    ["base backup", `${base.id} of ${base.finished_at}`],
    ["log", `${plan.wal_segments} segments of branch ${plan.timeline}, replayed to ${target.end_lsn}`],
    ["to fetch", `${formatSizeSi(plan.fetch_bytes)} at most`],
    ["disk", `${formatSizeSi(plan.disk_bytes)} at most, beside the database`],
    ["memory", `${formatSizeSi(plan.memory_bytes)} at most`],
    ["time", `about ${plan.estimated_seconds} s while the database goes on, then a few seconds without it`],
    ["undo", plan.undo_hours === 0 ? "not possible: the disk has no room for both" : `for ${plan.undo_hours} hours`],
    ...plan.prepared_transactions.map(
      ({ gid, xid }) => ["prepared", `transaction ${xid} "${gid}" comes back and holds its locks`] as const,
    ),
    ...plan.losses.map((loss) => ["lost", loss] as const),
  ];
  output.status(`Restore of ${database} in place`);
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) output.info(`${name.padEnd(width)}  ${value}`);
  for (const note of plan.notes) output.warning(note);
}

/** How far an operation is, on one line. */
export function describePhase({ phase, progress, status }: PointInTimeOperation): string {
  if (status === "scheduled") return "Waiting for it to start";
  switch (phase) {
    case "fetching":
      return `Fetching the base backup: ${formatSizeSi(progress.done_bytes)} of ${formatSizeSi(progress.total_bytes)}`;
    case "replaying":
      return progress.replayed_until === null
        ? "Replaying the write-ahead log"
        : `Replaying the write-ahead log: ${progress.replayed_until.toISOString()}`;
    case "paused-at-target":
      return "The copy is at the moment that was asked for";
    case "swapping":
      return "Putting the copy in the database's place";
    case "starting":
      return "Starting the database";
    default:
      return "Working out the restore";
  }
}

/** What a person should know once it has ended well. */
export function showPointInTimeEnd(output: Output, operation: PointInTimeOperation): void {
  const { downtime_ms: downtimeMs, undo_until: undoUntil, timeline } = operation;
  if (downtimeMs !== null) output.info(`The database was away for ${(downtimeMs / 1000).toFixed(1)} s`);
  if (timeline !== null)
    output.info(`It is on branch ${timeline} now; the earlier ones stay restorable in the recovery window`);
  for (const note of operation.notes) output.warning(note);
  if (undoUntil !== null) output.info(`Until ${undoUntil.toISOString()} it can be undone: tidemark database-pitr-undo`);
}

function transaction({ xid, time, lsn }: PlannedTransaction): string {
  return `${time}, ${xid === null ? "a transaction" : `transaction ${xid}`} at ${lsn}`;
}
