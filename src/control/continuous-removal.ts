import { type Kysely, sql } from "kysely";
import type { AddonId } from "../core/ids.ts";
import { removePhysicalBackups } from "../repository/physical-expiry.ts";
import type { Repository } from "../repository/repository.ts";
import type { ControlContext } from "./context.ts";
import type { ControlSchema } from "./schema.ts";

const STREAM_POLL_MS = 200;

/**
 * Removes a deleted database's continuous backups from the repository. Its stream ends first (at the worker's next beat, or with a dead
 * worker's lease), so that nothing is stored behind the removal's back. May be called again.
 */
export async function removeContinuousBackups(
  { database, clock }: ControlContext,
  repository: Repository,
  { addonId, signal }: { addonId: AddonId; signal: AbortSignal },
): Promise<void> {
  while (await isStreamed(database.db, addonId)) await clock.sleep(STREAM_POLL_MS, signal);
  await removePhysicalBackups(repository.store, addonId, { signal });
}

/** Removes the index of what `removeContinuousBackups` removed, and how it went. */
export async function forgetContinuousBackups(db: Kysely<ControlSchema>, addonId: AddonId): Promise<void> {
  for (const table of ["base_backups", "wal_gaps", "wal_streams", "lineages", "database_samples"] as const) {
    await db.deleteFrom(table).where("addon_id", "=", addonId).execute();
  }
}

async function isStreamed(db: Kysely<ControlSchema>, addonId: AddonId): Promise<boolean> {
  const row = await db
    .selectFrom("wal_streams")
    .select("addon_id")
    .where("addon_id", "=", addonId)
    .where("lease_until", ">", sql<Date>`now()`)
    .executeTakeFirst();
  return row !== undefined;
}
