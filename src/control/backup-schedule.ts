import { sql, type Transaction } from "kysely";
import { isErrorCode, TidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import { type BackupSchedule, changeSchedule, dueNight, nextRuns } from "../policy/backup-schedule.ts";
import { addDays, type UtcDay, utcDayOf } from "../policy/utc-day.ts";
import { type AddonFacts, findAddonOfCaller } from "./access.ts";
import { insertBackup } from "./backups.ts";
import { RESTORING_KINDS } from "./exclusive-work.ts";
import type { ControlContext, SchedulingContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { recordDatabaseEvent } from "./events.ts";
import type { PeriodicBackups } from "./model.ts";
import type { ControlSchema } from "./schema.ts";
import type { DatabaseCaller } from "./services.ts";

interface AddonSchedule extends BackupSchedule {
  readonly addonId: AddonId;
}

/** What one tick begins; the rest waits for the next. After an outage of the whole platform every database is due. */
const BEGUN_PER_TICK_MAX = 100;
/** Runs that the preview tells: a week. */
const PREVIEW_RUNS = 7;

/**
 * Begins every periodic backup that is due and has nothing in its way. Many schedulers may do so at once: the night is settled in the transaction that
 * begins its backup, so a second one finds nothing to do.
 */
export async function schedulePeriodicBackups(context: SchedulingContext): Promise<void> {
  const now = context.clock.now();
  let begun = 0;
  for (const { schedule, hostId } of await readReady(context, now)) {
    const night = dueNight(schedule, now);
    if (night === undefined) continue;
    await beginPeriodicBackup(context, { schedule, hostId, night });
    if (++begun === BEGUN_PER_TICK_MAX) return;
  }
}

/** The schedule as its user sees it, with what delays a run that is due. */
export async function readPeriodicBackups(
  { database, clock }: ControlContext,
  addon: AddonFacts,
): Promise<PeriodicBackups> {
  const { db } = database;
  const row = await db
    .selectFrom("databases")
    .select(["periodic_backups_enabled", "periodic_hour_utc", "periodic_last_night"])
    .where("addon_id", "=", addon.id)
    .executeTakeFirstOrThrow();
  const schedule = scheduleOf({ addon_id: addon.id, ...row });
  const runs = nextRuns(schedule, { count: PREVIEW_RUNS }, clock.now());
  const open = await db
    .selectFrom("backups")
    .innerJoin("operations", "operations.id", "backups.operation_id")
    .select("backups.id")
    .where("backups.addon_id", "=", addon.id)
    .where("operations.state", "in", ["scheduled", "running"])
    .executeTakeFirst();
  const restore = await db
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addon.id)
    .where("kind", "in", RESTORING_KINDS)
    .where("state", "in", ["scheduled", "running"])
    .executeTakeFirst();
  const maintenance = await db
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addon.id)
    .where("kind", "in", ["maintain", "change_plan"])
    .where("state", "in", ["scheduled", "running"])
    .executeTakeFirst();
  return {
    isEnabled: schedule.isEnabled,
    hourUtc: schedule.hourUtc,
    nextRuns: runs.map(({ at }) => at),
    waitsBecause:
      runs[0]?.isDue === true
        ? delayOf(addon, { openBackup: open?.id, openRestore: restore?.id, isMaintained: maintenance !== undefined })
        : null,
  };
}

/** Changes the schedule; what the change leaves out stays. */
export async function configureBackups(
  { database, clock }: ControlContext,
  caller: DatabaseCaller,
  { word, change }: { word: string; change: { readonly isEnabled?: boolean; readonly hourUtc?: number } },
): Promise<void> {
  await database.db.transaction().execute(async (transaction) => {
    const addon = await findAddonOfCaller(transaction, caller, word, "manage");
    const schedule = await lockSchedule(transaction, addon.id);
    const changed = changeSchedule(schedule, change, clock.now());
    await transaction
      .updateTable("databases")
      .set({
        periodic_backups_enabled: changed.isEnabled,
        periodic_hour_utc: changed.hourUtc,
        periodic_last_night: changed.lastNight,
        periodic_changed_at: clock.now(),
      })
      .where("addon_id", "=", addon.id)
      .execute();
    const data = { enabled: changed.isEnabled, hour_utc: changed.hourUtc };
    const event = { type: "database_backups_configured", data, actor: caller.principal } as const;
    await recordDatabaseEvent(transaction, addon, { ...event, at: clock.now() });
  });
}

function delayOf(
  addon: AddonFacts,
  {
    openBackup,
    openRestore,
    isMaintained,
  }: { openBackup: string | undefined; openRestore: string | undefined; isMaintained: boolean },
): string {
  if (addon.state === "provisioning") return "The database is being made";
  if (openRestore !== undefined) return `The database is being restored: ${openRestore}`;
  if (isMaintained) return "The database is being maintained";
  if (addon.status !== "running") return `The database is not running: ${addon.status_reason ?? "it is stopped"}`;
  if (openBackup !== undefined) return `Another backup is running: ${openBackup}`;
  return "It is about to begin";
}

/** Databases that run, with a night to come or due and no logical backup under way. Whether its minute has come is for policy to say. */
async function readReady(
  { database }: SchedulingContext,
  now: Date,
): Promise<{ readonly schedule: AddonSchedule; readonly hostId: string }[]> {
  const today = utcDayOf(now);
  const newest = sql<UtcDay>`case when periodic_hour_utc <= ${now.getUTCHours()}::integer
    then ${today}::date else ${addDays(today, -1)}::date end`;
  const rows = await database.db
    .selectFrom("databases")
    .innerJoin("addons", "addons.id", "databases.addon_id")
    .select(["addon_id", "host_id", "periodic_backups_enabled", "periodic_hour_utc", "periodic_last_night"])
    .where("periodic_backups_enabled", "=", true)
    // For the index: most of the day, no database has a night open.
    .where("periodic_last_night", "<", today)
    .where("periodic_last_night", "<", newest)
    .where("addons.state", "=", "running")
    .where("databases.status", "=", "running")
    .where((row) =>
      row.not(
        row.exists(
          row
            .selectFrom("operations")
            .select("operations.id")
            .whereRef("operations.addon_id", "=", "databases.addon_id")
            .where("operations.kind", "in", ["logical_backup", "change_plan", "maintain", ...RESTORING_KINDS])
            .where("operations.state", "in", ["scheduled", "running"]),
        ),
      ),
    )
    .orderBy("periodic_last_night")
    .execute();
  return rows.map((row) => ({ schedule: scheduleOf(row), hostId: row.host_id }));
}

async function beginPeriodicBackup(
  context: SchedulingContext,
  { schedule, hostId, night }: { schedule: AddonSchedule; hostId: string; night: UtcDay },
): Promise<void> {
  const { addonId: id } = schedule;
  try {
    await context.database.db.transaction().execute(async (transaction) => {
      if (!(await settleNight(transaction, schedule, night))) return;
      const addon = { id, host_id: hostId };
      await insertBackup(context, transaction, { addon, method: "periodic", night, requestedBy: null });
      context.logger.info({ addon: id, night }, "a periodic backup is due");
    });
  } catch (error) {
    const constraint = violatedConstraint(error, UNIQUE_VIOLATION);
    // The night has its backup, whatever the schedule's row says.
    if (constraint === "backups_one_night") await settleNight(context.database.db, schedule, night);
    // What somebody asked for was faster: this one's turn comes after it.
    else if (!isErrorCode(error, "conflict") && constraint !== "operations_one_open") throw error;
  }
}

/** Marks the night as settled if the schedule is still what was read; false when another scheduler, or the schedule's user, was faster. */
async function settleNight(
  db: ControlContext["database"]["db"],
  schedule: AddonSchedule,
  night: UtcDay,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("databases")
    .set({ periodic_last_night: night })
    .where("addon_id", "=", schedule.addonId)
    .where("periodic_last_night", "=", schedule.lastNight)
    .where("periodic_hour_utc", "=", schedule.hourUtc)
    .where("periodic_backups_enabled", "=", true)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

async function lockSchedule(transaction: Transaction<ControlSchema>, addonId: AddonId): Promise<AddonSchedule> {
  const row = await transaction
    .selectFrom("databases")
    .select(["addon_id", "periodic_backups_enabled", "periodic_hour_utc", "periodic_last_night"])
    .where("addon_id", "=", addonId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new TidemarkError("bug", `The addon ${addonId} has no row of its server`);
  return scheduleOf(row);
}

function scheduleOf(row: {
  addon_id: AddonId;
  periodic_backups_enabled: boolean;
  periodic_hour_utc: number;
  periodic_last_night: UtcDay;
}): AddonSchedule {
  return {
    addonId: row.addon_id,
    isEnabled: row.periodic_backups_enabled,
    hourUtc: row.periodic_hour_utc,
    lastNight: row.periodic_last_night,
  };
}
