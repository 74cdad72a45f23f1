import { type Kysely, sql } from "kysely";
import type { AddonId } from "../core/ids.ts";
import type { DatabaseSample } from "./model.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** Each sample stands for so long: short enough to see a stall of minutes, and a few hundred are all that a chart can show. */
export const SAMPLE_INTERVAL_MS = 10 * 60_000;
/** A week shows the rhythm of days and of its end; 1009 samples for each database. It is also how far back the plans that we ship restore. */
const KEPT_DAYS = 7;
const DAY_MS = 24 * 3600_000;

/** Notes what a minutely check has found. Of the lags of one interval the largest is kept, of its sizes the last; what isn't known changes nothing. */
export async function noteSample(
  db: Db,
  { addonId, at, lagMs, sizeBytes }: { addonId: AddonId; at: Date; lagMs: number | null; sizeBytes: number | null },
): Promise<void> {
  if (lagMs === null && sizeBytes === null) return;
  const start = new Date(Math.floor(at.getTime() / SAMPLE_INTERVAL_MS) * SAMPLE_INTERVAL_MS);
  await db
    .insertInto("database_samples")
    .values({ addon_id: addonId, at: start, lag_ms: lagMs, size_bytes: sizeBytes })
    .onConflict((conflict) =>
      conflict.columns(["addon_id", "at"]).doUpdateSet({
        // Neither is null when only one of the two is.
        lag_ms: sql<number>`greatest(database_samples.lag_ms, excluded.lag_ms)`,
        size_bytes: sql<number>`coalesce(excluded.size_bytes, database_samples.size_bytes)`,
      }),
    )
    .execute();
}

/** The samples that are kept of one database, oldest first. */
export async function readSamples(db: Db, addonId: AddonId, now: Date): Promise<DatabaseSample[]> {
  const rows = await db
    .selectFrom("database_samples")
    .select(["at", "lag_ms", "size_bytes"])
    .where("addon_id", "=", addonId)
    .where("at", ">", oldestKept(now))
    .orderBy("at")
    .execute();
  return rows.map(({ at, lag_ms: lagMs, size_bytes: sizeBytes }) => ({ at, lagMs, sizeBytes }));
}

/** Removes what is older than any chart shows. */
export async function forgetOldSamples(db: Db, now: Date): Promise<void> {
  await db.deleteFrom("database_samples").where("at", "<=", oldestKept(now)).execute();
}

function oldestKept(now: Date): Date {
  return new Date(now.getTime() - KEPT_DAYS * DAY_MS);
}
