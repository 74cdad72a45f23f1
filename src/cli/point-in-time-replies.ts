import { type Decoder, instant, list, nullable, number, oneOf, record, text } from "./decode.ts";

/** What a restore in place would do, as the API tells it. */
export interface PointInTimePlan {
  readonly timeline: number;
  readonly target: {
    readonly lsn: string;
    readonly end_lsn: string;
    readonly last_commit: PlannedTransaction | null;
    readonly first_left_out: PlannedTransaction | null;
  };
  readonly base_backup: { readonly id: string; readonly finished_at: string };
  readonly wal_segments: number;
  readonly fetch_bytes: number;
  readonly disk_bytes: number;
  readonly memory_bytes: number;
  readonly estimated_seconds: number;
  readonly prepared_transactions: readonly { readonly xid: number; readonly gid: string }[];
  readonly losses: readonly string[];
  readonly notes: readonly string[];
  readonly undo_hours: number;
}

export interface PlannedTransaction {
  readonly xid: number | null;
  readonly lsn: string;
  readonly time: string;
}

export interface PointInTimeOperation {
  readonly id: string;
  readonly status: "scheduled" | "running" | "done" | "error";
  readonly phase: string;
  readonly plan: PointInTimePlan | null;
  readonly progress: {
    readonly done_bytes: number;
    readonly total_bytes: number;
    readonly replayed_lsn: string | null;
    readonly replayed_until: Date | null;
  };
  readonly timeline: number | null;
  readonly downtime_ms: number | null;
  readonly undo_until: Date | null;
  readonly notes: readonly string[];
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

const transaction = record<PlannedTransaction>({ xid: nullable(number), lsn: text, time: text });
const plan = record<PointInTimePlan>({
  timeline: number,
  target: record<PointInTimePlan["target"]>({
    lsn: text,
    end_lsn: text,
    last_commit: nullable(transaction),
    first_left_out: nullable(transaction),
  }),
  base_backup: record<PointInTimePlan["base_backup"]>({ id: text, finished_at: text }),
  wal_segments: number,
  fetch_bytes: number,
  disk_bytes: number,
  memory_bytes: number,
  estimated_seconds: number,
  prepared_transactions: list(record<{ xid: number; gid: string }>({ xid: number, gid: text })),
  losses: list(text),
  notes: list(text),
  undo_hours: number,
});
const operation = record<PointInTimeOperation>({
  id: text,
  status: oneOf("scheduled", "running", "done", "error"),
  phase: text,
  plan: nullable(plan),
  progress: record<PointInTimeOperation["progress"]>({
    done_bytes: number,
    total_bytes: number,
    replayed_lsn: nullable(text),
    replayed_until: nullable(instant),
  }),
  timeline: nullable(number),
  downtime_ms: nullable(number),
  undo_until: nullable(instant),
  notes: list(text),
  error: nullable(
    record<{ code: string; message: string; hint: string | null }>({ code: text, message: text, hint: nullable(text) }),
  ),
});

/** What one operation's answer holds. */
export const operationReply: Decoder<{ operation: PointInTimeOperation }> = record<{ operation: PointInTimeOperation }>(
  {
    operation,
  },
);
