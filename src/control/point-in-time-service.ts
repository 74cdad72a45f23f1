import type { ObjectId } from "../core/ids.ts";
import type { RestoreEstimate } from "../restore/plan-estimate.ts";
import type { RestorePlan } from "../restore/plan.ts";
import type { DatabaseCaller } from "./model.ts";

/** Restores a database in place to any moment of its recovery window, and undoes that. */
export interface PointInTimeService {
  /**
   * Begins to work out what a restore would do; the answer is the operation's plan. `invalid_fields` for a moment that can't be read or lies outside the
   * recovery window, `conflict` while another plan is made.
   */
  plan(caller: DatabaseCaller, addon: string, wish: RestoreWish): Promise<PointInTimeOperation>;
  /**
   * Begins a restore: the database as it was then is built beside the live one, and takes its place. As `plan`; `conflict` while other work on the
   * database is open.
   */
  restore(caller: DatabaseCaller, addon: string, wish: RestoreWish): Promise<PointInTimeOperation>;
  /** Begins to put back the data that the last restore replaced. `conflict` when there is none any more, or other work is open. */
  undo(caller: DatabaseCaller, addon: string): Promise<PointInTimeOperation>;
  /** The restores and undos of a database, newest first, the last twenty; for everybody who may see it. */
  operations(caller: DatabaseCaller, addon: string): Promise<PointInTimeOperation[]>;
  /** An operation of any of the three. */
  operation(caller: DatabaseCaller, addon: string, operationId: string): Promise<PointInTimeOperation>;
  /** Ends one that has not come to the swap; the database stays as it is. `conflict` afterwards. */
  cancel(caller: DatabaseCaller, addon: string, operationId: string): Promise<PointInTimeOperation>;
}

export interface RestoreWish {
  /** As people write it; see `parseTarget`. */
  readonly target: string;
  readonly isExclusive: boolean;
  /** The timeline to restore along; null for the one that was the database's at that moment. */
  readonly branch: number | null;
}

/** What an operation was begun with, as its journal keeps it. */
export type PointInTimeRequest = ({ readonly kind: "restore" } & RestoreWish) | { readonly kind: "undo" };

/** What a restore in place will do. Plain data, as `RestorePlan`. */
export interface PointInTimePlan extends Pick<
  RestorePlan,
  | "plannedAt"
  | "timeline"
  | "target"
  | "wal"
  | "fetchBytes"
  | "diskBytes"
  | "memoryBytes"
  | "prepared"
  | "losses"
  | "notes"
> {
  readonly base: Pick<RestorePlan["base"], "backupId" | "finishedAt">;
  readonly estimate: RestoreEstimate;
  /** How long it can be undone; 0 when the disk has no room for the replaced data as well. */
  readonly undoHours: number;
}

/** In order. What has come to `swapping` is in the hands of the host; from `starting` on the new data is the database's. */
export type PointInTimePhase =
  | "scheduled"
  | "planned"
  | "fetching"
  | "replaying"
  | "paused-at-target"
  | "built"
  | "swapping"
  | "starting"
  | "done";

export interface PointInTimeOperation {
  readonly id: ObjectId;
  readonly type: "pitr_plan" | "pitr_restore" | "pitr_undo";
  readonly status: "scheduled" | "running" | "done" | "error";
  readonly phase: PointInTimePhase;
  readonly plan: PointInTimePlan | null;
  readonly progress: {
    /** Bytes of the base backup that are fetched, and all of them. */
    readonly doneBytes: number;
    readonly totalBytes: number;
    readonly replayedLsn: string | null;
    /** Stamp of the newest transaction that was replayed. */
    readonly replayedUntil: Date | null;
  };
  /** The timeline that the database is on afterwards; null until it is given out. */
  readonly timeline: number | null;
  /** How long the database was away, from the stop to the first answer; null until it answers again. */
  readonly downtimeMs: number | null;
  /** Until when it can be undone; null when it can't, or not yet. */
  readonly undoUntil: Date | null;
  /** What a person should know of how it went: sentences. */
  readonly notes: readonly string[];
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}
