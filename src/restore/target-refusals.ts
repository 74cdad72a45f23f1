import { TidemarkError } from "../core/errors.ts";
import { type Lsn, formatLsn } from "../core/lsn.ts";
import { type TimestampUs, formatTimestamp, timestampFromDate } from "../core/timestamp.ts";
import type { BaseBackupManifest } from "../repository/base-backup-set.ts";
import type { RestoreFacts } from "./facts.ts";
import type { ReplayFacts } from "./replay-facts.ts";
import type { ReplayTarget } from "./target-request.ts";

/*
 * Why a moment can't be reached, each with the nearest ones that can: in the hint for people, in `details` for programs.
 */

/** @param earliest a time from which the backup's own log holds nothing stamped later; by default when it finished */
export function beforeWindow(
  base: BaseBackupManifest,
  target: ReplayTarget,
  earliest: TimestampUs = timestampFromDate(new Date(base.finishedAt)),
): TidemarkError {
  const wanted =
    target.kind === "time"
      ? formatTimestamp(target.time)
      : target.kind === "lsn"
        ? formatLsn(target.lsn)
        : target.kind === "xid"
          ? `the end of transaction ${target.xid}`
          : "this moment";
  return unreachable(
    `${wanted} lies before the end of the first base backup that could lead there`,
    `The earliest moment is ${formatTimestamp(earliest)}, position ${base.stopLsn}`,
    { earliest: formatTimestamp(earliest), earliest_lsn: base.stopLsn },
  );
}

export function inHole(
  { next }: { readonly next: BaseBackupManifest | undefined },
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

export function beyondStored(replay: ReplayFacts, wanted: string): TidemarkError {
  const latest = formatLsn(replay.last.start);
  return unreachable(
    `${wanted} lies after all that is stored, which ends at ${formatLsn(replay.readUntil)}`,
    `Take the latest moment instead, or position ${latest}`,
    { latest_lsn: latest },
  );
}

export function noBackup(facts: RestoreFacts): TidemarkError {
  const count = facts.bases.length + facts.unreadable.length;
  const how =
    count === 0
      ? "there is no base backup"
      : `none of ${count} base backups of this branch has all its write-ahead log`;
  return unreachable(how, "See what is stored and what is wrong with it: tidemark repository verify");
}

export function unreachable(how: string, hint: string, details: Record<string, string> = {}): TidemarkError {
  return new TidemarkError("target_unreachable", `Cannot restore: ${how}`, { hint, details });
}
