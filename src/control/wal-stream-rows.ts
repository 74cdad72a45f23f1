import { type Kysely, sql } from "kysely";
import type { WalReceiverStatus } from "../capture/wal/wal-receiver.ts";
import type { AddonId } from "../core/ids.ts";
import { formatLsn, type Lsn } from "../core/lsn.ts";
import { formatTimestamp } from "../core/timestamp.ts";
import type { ControlSchema } from "./schema.ts";

/** As with operations: a dead worker's streams are in other hands within 15 s. */
const LEASE_SECONDS = 10;

type Db = Kysely<ControlSchema>;

/** Takes streams of this machine's databases that nobody holds; at most `limit`. A database that has never been streamed gets its row here. */
export async function claimWalStreams(
  db: Db,
  { owner, hostId, limit }: { owner: string; hostId: string; limit: number },
): Promise<AddonId[]> {
  const live = sql`select addons.id from addons join databases on databases.addon_id = addons.id
    where addons.state = 'running' and databases.host_id = ${hostId}`;
  await sql`insert into wal_streams (addon_id, state) select id, 'stopped' from (${live}) as live
    on conflict (addon_id) do nothing`.execute(db);
  const { rows } = await sql<{ addon_id: AddonId }>`update wal_streams
    set lease_owner = ${owner}, lease_until = ${leaseEnd()}
    where addon_id in (
      select addon_id from wal_streams
      where addon_id in (${live}) and (lease_until is null or lease_until < now())
      limit ${limit} for update skip locked
    ) returning addon_id`.execute(db);
  return rows.map((row) => row.addon_id);
}

/** Stores what the receiver says and prolongs the lease; false when the stream is somebody else's, or its database is being removed. */
export async function renewWalStream(
  db: Db,
  { owner, addonId, status }: { owner: string; addonId: AddonId; status: WalReceiverStatus },
): Promise<boolean> {
  const { lineage, durable, newest, state } = status;
  const reason = status.storeError ?? (state === "streaming" ? undefined : status.lastError);
  const latest = newest === undefined ? null : formatTimestamp(newest.time);
  const { numUpdatedRows } = await db
    .updateTable("wal_streams")
    .set({
      lease_until: leaseEnd(),
      state,
      state_reason: reason?.message ?? null,
      // A receiver that has just begun knows neither lineage nor moment yet, and what was stored stays recoverable.
      ...(lineage === undefined ? {} : { lineage }),
      ...(durable === undefined ? {} : { timeline: durable.timeline, stored_lsn: formatLsn(durable.lsn) }),
      // Another lineage begins anew.
      latest_recoverable_at: sql<Date | null>`case when lineage is distinct from ${lineage ?? null}::text and ${lineage ?? null}::text is not null
        then ${latest}::timestamptz else greatest(${latest}::timestamptz, latest_recoverable_at) end`,
      updated_at: sql<Date>`now()`,
    })
    .where("addon_id", "=", addonId)
    .where("lease_owner", "=", owner)
    .where((row) =>
      row.exists(
        row
          .selectFrom("addons")
          .select("id")
          .whereRef("id", "=", "wal_streams.addon_id")
          .where("state", "=", "running"),
      ),
    )
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Lets go of a stream, so that another worker can take it at once. */
export async function releaseWalStream(db: Db, { owner, addonId }: { owner: string; addonId: AddonId }): Promise<void> {
  await db
    .updateTable("wal_streams")
    .set({ lease_owner: null, lease_until: null, state: "stopped" })
    .where("addon_id", "=", addonId)
    .where("lease_owner", "=", owner)
    .execute();
}

/** Notes the lineage that is streamed into, once; the one before it ends then, at the last moment that it can be restored to. */
export async function noteLineage(
  db: Db,
  input: { addonId: AddonId; lineage: string; systemId: string; reason: string },
): Promise<void> {
  await db
    .updateTable("lineages")
    .set((row) => ({
      ended_at: sql<Date>`now()`,
      last_recoverable_at: row
        .selectFrom("wal_streams")
        .select("latest_recoverable_at")
        .whereRef("wal_streams.addon_id", "=", "lineages.addon_id")
        .whereRef("wal_streams.lineage", "=", "lineages.id"),
    }))
    .where("addon_id", "=", input.addonId)
    .where("id", "!=", input.lineage)
    .where("ended_at", "is", null)
    .execute();
  await db
    .insertInto("lineages")
    .values({
      id: input.lineage,
      addon_id: input.addonId,
      system_id: input.systemId,
      reason: input.reason,
      begun_at: sql<Date>`now()`,
      ended_at: null,
      last_recoverable_at: null,
    })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
}

/** Notes a hole in the log; the last moment before it is what could be restored until now. False when it was noted before. */
export async function noteGap(
  db: Db,
  gap: { addonId: AddonId; lineage: string; timeline: number; from: Lsn; to: Lsn },
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto("wal_gaps")
    .columns(["addon_id", "lineage", "timeline", "from_lsn", "to_lsn", "last_recoverable_at", "found_at"])
    .expression((row) =>
      row
        .selectFrom("wal_streams")
        .select([
          "addon_id",
          sql<string>`${gap.lineage}::text`.as("lineage"),
          sql<number>`${gap.timeline}::bigint`.as("timeline"),
          sql<string>`${formatLsn(gap.from)}::pg_lsn`.as("from_lsn"),
          sql<string>`${formatLsn(gap.to)}::pg_lsn`.as("to_lsn"),
          "latest_recoverable_at",
          sql<Date>`now()`.as("found_at"),
        ])
        .where("addon_id", "=", gap.addonId),
    )
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

/** Asks for a base backup at once, and says why. */
export async function wantBaseBackup(db: Db, { addonId, reason }: { addonId: AddonId; reason: string }): Promise<void> {
  await db.updateTable("wal_streams").set({ rebase_reason: reason }).where("addon_id", "=", addonId).execute();
}

function leaseEnd() {
  return sql<Date>`now() + ${LEASE_SECONDS}::integer * interval '1 second'`;
}
