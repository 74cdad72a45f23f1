import type { Lsn, TimelineId } from "../core/lsn.ts";
import type { TimestampUs } from "../core/timestamp.ts";
import type { LineageId } from "../repository/physical-layout.ts";

/** The moment that is wanted. */
export type RestoreTarget =
  | { readonly kind: "latest" }
  /** Everything before the first commit or abort that is stamped later. */
  | { readonly kind: "time"; readonly time: TimestampUs }
  /** Everything up to the last record that begins at or before it. */
  | { readonly kind: "lsn"; readonly lsn: Lsn }
  /** Up to the end of this transaction. */
  | { readonly kind: "xid"; readonly xid: number };

export interface TargetRequest {
  readonly target: RestoreTarget;
  /** Another than the newest lineage that reaches the target. */
  readonly lineage?: LineageId;
  /** Another than the lineage's newest timeline. */
  readonly timeline?: TimelineId;
}
