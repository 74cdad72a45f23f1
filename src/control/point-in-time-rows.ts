import { type Kysely, type Selectable, sql } from "kysely";
import type { AddonId, ObjectId } from "../core/ids.ts";
import { formatLsn, type Lsn } from "../core/lsn.ts";
import type { RestoreRates } from "../restore/plan-estimate.ts";
import type {
  PointInTimeOperation,
  PointInTimePhase,
  PointInTimePlan,
  PointInTimeRequest,
} from "./point-in-time-service.ts";
import type { ControlSchema, PointInTimeOperationTable } from "./schema.ts";

type Db = Kysely<ControlSchema>;

export type Journal = Selectable<PointInTimeOperationTable>;

const PHASES: readonly PointInTimePhase[] = [
  "scheduled",
  "planned",
  "fetching",
  "replaying",
  "paused-at-target",
  "built",
  "swapping",
  "starting",
  "done",
];

/** Whether an operation has come at least so far. */
export function hasReachedPhase({ phase }: Pick<Journal, "phase">, wanted: PointInTimePhase): boolean {
  return PHASES.indexOf(phase) >= PHASES.indexOf(wanted);
}

export async function insertJournal(
  db: Db,
  input: { operationId: ObjectId; addonId: AddonId; request: PointInTimeRequest },
): Promise<void> {
  await db
    .insertInto("point_in_time_operations")
    .values({
      operation_id: input.operationId,
      addon_id: input.addonId,
      request: JSON.stringify(input.request),
      plan: null,
      data_folder: null,
      timeline: null,
      switch_lsn: null,
      replayed_lsn: null,
      replayed_until: null,
      swap_operation_id: null,
      stopped_at: null,
      answered_at: null,
      undo_until: null,
      rates: null,
    })
    .execute();
}

export async function readJournal(db: Db, operationId: ObjectId): Promise<Journal> {
  return await db
    .selectFrom("point_in_time_operations")
    .selectAll()
    .where("operation_id", "=", operationId)
    .executeTakeFirstOrThrow();
}

export interface JournalChange {
  readonly phase?: PointInTimePhase;
  readonly plan?: PointInTimePlan;
  readonly dataFolder?: string;
  readonly timeline?: number;
  readonly switchLsn?: Lsn;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
  readonly replayedLsn?: Lsn | undefined;
  readonly replayedUntil?: Date | undefined;
  readonly swapOperationId?: ObjectId;
  readonly undoHours?: number;
  readonly undoUntil?: Date;
  readonly rates?: RestoreRates | undefined;
  /** Added to those that are there. */
  readonly notes?: readonly string[];
}

/** Notes a step. What the change leaves out stays. */
export async function noteStep(db: Db, operationId: ObjectId, change: JournalChange): Promise<void> {
  if (Object.values(change).every((value) => value === undefined)) return;
  await db
    .updateTable("point_in_time_operations")
    .set({
      ...(change.phase === undefined ? {} : { phase: change.phase }),
      ...(change.plan === undefined ? {} : { plan: JSON.stringify(change.plan) }),
      ...(change.dataFolder === undefined ? {} : { data_folder: change.dataFolder }),
      ...(change.timeline === undefined ? {} : { timeline: change.timeline }),
      ...(change.switchLsn === undefined ? {} : { switch_lsn: formatLsn(change.switchLsn) }),
      ...(change.doneBytes === undefined ? {} : { done_bytes: change.doneBytes }),
      ...(change.totalBytes === undefined ? {} : { total_bytes: change.totalBytes }),
      ...(change.replayedLsn === undefined ? {} : { replayed_lsn: formatLsn(change.replayedLsn) }),
      ...(change.replayedUntil === undefined ? {} : { replayed_until: change.replayedUntil }),
      ...(change.swapOperationId === undefined ? {} : { swap_operation_id: change.swapOperationId }),
      ...(change.undoHours === undefined ? {} : { undo_hours: change.undoHours }),
      ...(change.undoUntil === undefined ? {} : { undo_until: change.undoUntil }),
      ...(change.rates === undefined ? {} : { rates: JSON.stringify(change.rates) }),
      ...(change.notes === undefined ? {} : { notes: sql<string>`notes || ${JSON.stringify(change.notes)}::jsonb` }),
    })
    .where("operation_id", "=", operationId)
    .execute();
}

/** More than anybody restores within the time that a restore can be undone. */
const LISTED_OPERATIONS_MAX = 20;

/** How fast the last measured restore was. */
export async function readRates(db: Db): Promise<RestoreRates | undefined> {
  const row = await db
    .selectFrom("point_in_time_operations")
    .select("rates")
    .where("rates", "is not", null)
    .orderBy("operation_id", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.rates ?? undefined;
}

/** An operation as its user sees it; undefined when the database has none of this id. */
export async function readPointInTimeOperation(
  db: Db,
  addonId: AddonId,
  operationId: string,
): Promise<PointInTimeOperation | undefined> {
  const row = await selectOperations(db, addonId)
    .where(sql<string>`operations.id`, "=", operationId)
    .executeTakeFirst();
  return row === undefined ? undefined : viewOperation(row);
}

/** The restores and undos of a database, newest first; plans are no part of its history. */
export async function listPointInTimeOperations(db: Db, addonId: AddonId): Promise<PointInTimeOperation[]> {
  const rows = await selectOperations(db, addonId)
    .where("operations.kind", "!=", "pitr_plan")
    .orderBy("operations.id", "desc")
    .limit(LISTED_OPERATIONS_MAX)
    .execute();
  return rows.map(viewOperation);
}

function selectOperations(db: Db, addonId: AddonId) {
  return db
    .selectFrom("point_in_time_operations as journal")
    .innerJoin("operations", "operations.id", "journal.operation_id")
    .selectAll("journal")
    .select([
      "operations.kind",
      "operations.state",
      "operations.created_at",
      "operations.started_at",
      "operations.ended_at",
      "operations.error_code",
      "operations.error_message",
      "operations.error_hint",
    ])
    .where("journal.addon_id", "=", addonId);
}

type OperationRow = Awaited<ReturnType<ReturnType<typeof selectOperations>["executeTakeFirstOrThrow"]>>;

function viewOperation(row: OperationRow): PointInTimeOperation {
  return {
    id: row.operation_id,
    type: typeOf(row.kind),
    status: row.state,
    phase: row.phase,
    plan: row.plan,
    progress: {
      doneBytes: row.done_bytes,
      totalBytes: row.total_bytes,
      replayedLsn: row.replayed_lsn,
      replayedUntil: row.replayed_until,
    },
    timeline: row.timeline,
    downtimeMs:
      row.stopped_at === null || row.answered_at === null ? null : row.answered_at.getTime() - row.stopped_at.getTime(),
    undoUntil: row.undo_until,
    notes: row.notes,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    error:
      row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "", hint: row.error_hint },
  };
}

function typeOf(kind: string): PointInTimeOperation["type"] {
  return kind === "pitr_plan" || kind === "pitr_undo" ? kind : "pitr_restore";
}
