import { type Kysely, sql } from "kysely";
import type { TidemarkError } from "../core/errors.ts";
import type { AddonId, ObjectId } from "../core/ids.ts";
import type { ControlDatabase } from "./database.ts";
import type { ControlSchema, OperationKind, OperationRow } from "./schema.ts";

/**
 * A worker that says nothing for so long has lost its operation: with `HEARTBEAT_MS` and the scheduler's tick, a dead worker's work is
 * taken over within 15 s.
 */
export const LEASE_SECONDS = 10;
export const HEARTBEAT_MS = 2500;
/** An operation begun so often without an end takes its workers down with it. */
export const ATTEMPTS_MAX = 4;

type Db = Kysely<ControlSchema>;

/** Adds an operation. At most one of a kind is open for a database: the second violates `operations_one_open`. */
export async function insertOperation(
  db: Db,
  input: { id: ObjectId; kind: OperationKind; addonId: AddonId; requestedBy: ObjectId | null },
): Promise<OperationRow> {
  return await db
    .insertInto("operations")
    .values({ id: input.id, kind: input.kind, addon_id: input.addonId, requested_by: input.requestedBy })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/**
 * Takes an operation that is due and that nobody holds, for `LEASE_SECONDS`. Undefined when it has ended, is not due, or another worker
 * holds it: one SQL statement decides, by the database's clock.
 */
export async function claimOperation(
  { db }: ControlDatabase,
  id: string,
  owner: string,
): Promise<OperationRow | undefined> {
  return await db
    .updateTable("operations")
    .set({
      state: "running",
      attempt: sql`attempt + 1`,
      lease_owner: owner,
      lease_until: leaseEnd(),
      progress_bytes: 0,
      started_at: sql`coalesce(started_at, now())`,
    })
    .where(sql<string>`id`, "=", id)
    .where("state", "in", ["scheduled", "running"])
    .where("run_after", "<=", sql<Date>`now()`)
    .where((row) => row.or([row("lease_until", "is", null), row("lease_until", "<", sql<Date>`now()`)]))
    .returningAll()
    .executeTakeFirst();
}

export type HeartbeatAnswer = "held" | "cancelled" | "lost";

/** Prolongs the lease and stores the progress. `lost`: another worker has it; `cancelled`: somebody asked to end it. */
export async function renewLease(
  { db }: ControlDatabase,
  lease: { id: ObjectId; owner: string; attempt: number; progressBytes: number },
): Promise<HeartbeatAnswer> {
  const row = await db
    .updateTable("operations")
    .set({ lease_until: leaseEnd(), progress_bytes: lease.progressBytes })
    .where("id", "=", lease.id)
    .where("lease_owner", "=", lease.owner)
    .where("attempt", "=", lease.attempt)
    .where("state", "=", "running")
    .returning("cancel_requested")
    .executeTakeFirst();
  if (row === undefined) return "lost";
  return row.cancel_requested ? "cancelled" : "held";
}

/** Ends the leases of a process that is known to be dead, so that nobody has to wait until they run out: those whose owner begins so. */
export async function releaseLeases({ db }: ControlDatabase, ownerPrefix: string): Promise<void> {
  await db
    .updateTable("operations")
    .set({ lease_until: sql<Date>`now()` })
    .where(sql<boolean>`starts_with(lease_owner, ${ownerPrefix})`)
    .where("state", "=", "running")
    .execute();
  await db
    .updateTable("wal_streams")
    .set({ lease_until: sql<Date>`now()` })
    .where(sql<boolean>`starts_with(lease_owner, ${ownerPrefix})`)
    .execute();
}

/** Adds an operation unless one of its kind is open for the database already; undefined then. */
export async function insertOperationUnlessOpen(
  db: Db,
  input: { id: ObjectId; kind: OperationKind; addonId: AddonId; requestedBy?: ObjectId | null },
): Promise<OperationRow | undefined> {
  return await db
    .insertInto("operations")
    .values({ id: input.id, kind: input.kind, addon_id: input.addonId, requested_by: input.requestedBy ?? null })
    // Names the index `operations_one_open`.
    .onConflict((conflict) =>
      conflict
        .columns(["addon_id", "kind"])
        .where(sql.ref("state"), "in", sql`('scheduled', 'running')`)
        .doNothing(),
    )
    .returningAll()
    .executeTakeFirst();
}

export type OperationEnd =
  | { readonly state: "done" }
  | { readonly state: "error"; readonly error: TidemarkError }
  /** Given back: to be begun again, not before so many milliseconds; `uncounted` when the attempt was not its own failure. */
  | { readonly state: "scheduled"; readonly delayMs: number; readonly uncounted: boolean };

/**
 * Ends an operation that this owner still holds; false when the lease was lost meanwhile, and nothing is changed then. Call it inside the
 * transaction that stores the operation's result.
 */
export async function endOperation(
  db: Db,
  lease: { id: ObjectId; owner: string; attempt: number; progressBytes: number },
  end: OperationEnd,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("operations")
    .set({
      state: end.state,
      lease_owner: null,
      lease_until: null,
      progress_bytes: lease.progressBytes,
      ...(end.state === "scheduled"
        ? {
            run_after: sql<Date>`now() + ${end.delayMs}::float8 * interval '1 millisecond'`,
            attempt: end.uncounted ? lease.attempt - 1 : lease.attempt,
          }
        : { ended_at: sql<Date>`now()` }),
      ...(end.state === "error"
        ? { error_code: end.error.code, error_message: end.error.message, error_hint: end.error.hint ?? null }
        : {}),
    })
    .where("id", "=", lease.id)
    .where("lease_owner", "=", lease.owner)
    .where("attempt", "=", lease.attempt)
    .where("state", "=", "running")
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Operations that nobody works on although they are due: new ones whose job got lost, and those of dead workers. Oldest first. */
export async function listUnattendedOperations(
  { db }: ControlDatabase,
  limit: number,
): Promise<(Pick<OperationRow, "id" | "kind"> & { host_id: string })[]> {
  return await db
    .selectFrom("operations")
    .innerJoin("databases", "databases.addon_id", "operations.addon_id")
    .select(["operations.id", "operations.kind", "databases.host_id"])
    .where("state", "in", ["scheduled", "running"])
    .where("run_after", "<=", sql<Date>`now()`)
    .where((row) => row.or([row("lease_until", "is", null), row("lease_until", "<", sql<Date>`now()`)]))
    .orderBy("run_after")
    .limit(limit)
    .execute();
}

/** Asks for an end. One that nobody has begun ends at once; a running one at its worker's next heartbeat. */
export async function requestCancel(db: Db, id: ObjectId, error: TidemarkError): Promise<void> {
  await db
    .updateTable("operations")
    .set({
      state: "error",
      cancel_requested: true,
      ended_at: sql<Date>`now()`,
      lease_owner: null,
      lease_until: null,
      error_code: error.code,
      error_message: error.message,
    })
    .where("id", "=", id)
    .where("state", "=", "scheduled")
    .execute();
  await db
    .updateTable("operations")
    .set({ cancel_requested: true })
    .where("id", "=", id)
    .where("state", "=", "running")
    .execute();
}

function leaseEnd() {
  return sql<Date>`now() + ${LEASE_SECONDS}::integer * interval '1 second'`;
}
