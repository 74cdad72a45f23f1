import type { Lsn, TimelineId } from "../core/lsn.ts";
import type { TimestampUs } from "../core/timestamp.ts";
import type { LineageId } from "../repository/physical-layout.ts";

/** The moment that is wanted. */
export type RestoreTarget =
  | { readonly kind: "latest" }
  /** Everything before the first commit or abort that is stamped later; exclusive: stamped then or later. */
  | ({ readonly kind: "time"; readonly time: TimestampUs } & Exclusion)
  /** Everything up to the last record that begins at or before it; exclusive: before it. */
  | ({ readonly kind: "lsn"; readonly lsn: Lsn } & Exclusion)
  /** Up to the end of this transaction; exclusive: everything before its end. */
  | ({ readonly kind: "xid"; readonly xid: number } & Exclusion)
  /** Up to the record that `pg_create_restore_point` wrote under this name. */
  | { readonly kind: "restore point"; readonly name: string };

/** One that is found by reading forward from a base backup; a restore point is located before, and is a position then. */
export type ReplayTarget = Exclude<RestoreTarget, { kind: "restore point" }>;

interface Exclusion {
  /** What lies exactly there is left out. PostgreSQL calls it `recovery_target_inclusive = off`. */
  readonly isExclusive?: boolean | undefined;
}

export interface TargetRequest {
  readonly target: RestoreTarget;
  /** Another than the newest lineage that reaches the target. */
  readonly lineage?: LineageId;
  /** Another than the lineage's newest timeline. */
  readonly timeline?: TimelineId;
}
