import { type Kysely, sql } from "kysely";
import { asTidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
import type { ControlContext } from "./context.ts";
import { noteSample } from "./database-samples.ts";
import { type EventAddon, recordDatabaseEvent } from "./events.ts";
import { type HealthJudgement, type HealthRow, judgeHealth, readHealthRows } from "./health-facts.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;
type WatchContext = Pick<ControlContext, "database" | "clock" | "logger" | "plans">;

/** How often every database is looked at: alerts are in minutes. */
const INTERVAL_MS = 60_000;

/**
 * Looks at every database once a minute and records what has changed: continuous backups that fall behind or keep up again, and backups that should be there and
 * are not. It asks what is there, and nothing of the jobs that should have made it. Any number may run: who changes a state records it.
 */
export class HealthWatch {
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: WatchContext) {
    const { clock, logger } = context;
    this.#loop = repeat(() => checkHealth(context), {
      clock,
      intervalMs: INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.error(
          { error: asTidemarkError(thrown).message },
          "the health of databases was not checked; tried again",
        ),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }
}

/** One look at every database. One that fails holds up none of the others; the time of the look is stored only when all were looked at. */
export async function checkHealth({ database, clock, plans }: WatchContext): Promise<void> {
  const { db } = database;
  await sql`insert into database_health (addon_id) select id from addons where state = 'running'
    on conflict (addon_id) do nothing`.execute(db);
  const failures: unknown[] = [];
  for (const row of await readHealthRows(db, null)) {
    if (row.isProvisioning) continue;
    try {
      const now = clock.now();
      const judgement = judgeHealth(row, plans, now);
      await noteContinuous(db, { row, judgement, now });
      await noteOverdue(db, { row, judgement, now });
      const { lagMs } = judgement.continuous;
      await noteSample(db, { addonId: row.addonId, at: now, lagMs, sizeBytes: row.sizeBytes });
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw failures[0];
  await db.updateTable("platform").set({ health_checked_at: clock.now() }).execute();
}

interface Judged {
  readonly row: HealthRow;
  readonly judgement: HealthJudgement;
  readonly now: Date;
}

async function noteContinuous(db: Db, { row, judgement, now }: Judged): Promise<void> {
  const { state, lagMs } = judgement.continuous;
  if (state === row.state) return;
  await db.transaction().execute(async (transaction) => {
    const { numUpdatedRows } = await transaction
      .updateTable("database_health")
      .set({ state, state_since: now })
      .where("addon_id", "=", row.addonId)
      .where("state", "=", row.state)
      .executeTakeFirst();
    // Another watch was faster.
    if (numUpdatedRows === 0n) return;
    const data = {
      status: row.streamState ?? "never begun",
      error: row.streamReason,
      recoverable: judgement.hasWindow,
      checked_at: now.toISOString(),
      unrecoverable_duration_seconds: lagMs === null ? null : Math.round(lagMs / 1000),
    };
    const type = `database_continuousbackup_${state}` as const;
    await recordDatabaseEvent(transaction, addonOf(row), { type, data, actor: "platform", at: now });
  });
}

async function noteOverdue(db: Db, { row, judgement, now }: Judged): Promise<void> {
  const duties = [
    {
      kind: "periodic",
      column: "periodic_overdue_since",
      noted: row.periodicOverdueSince,
      since: judgement.periodicOverdueSince,
      lastGoodAt: row.lastGoodBackupAt,
    },
    {
      kind: "base_backup",
      column: "base_backup_overdue_since",
      noted: row.baseBackupOverdueSince,
      since: judgement.baseBackupOverdueSince,
      lastGoodAt: row.lastBaseBackupAt,
    },
  ] as const;
  for (const { kind, column, noted, since, lastGoodAt } of duties) {
    if ((noted === null) === (since === null)) continue;
    await db.transaction().execute(async (transaction) => {
      const { numUpdatedRows } = await transaction
        .updateTable("database_health")
        .set({ [column]: since })
        .where("addon_id", "=", row.addonId)
        .where(column, noted === null ? "is" : "is not", null)
        .executeTakeFirst();
      if (numUpdatedRows === 0n || since === null) return;
      const data = { kind, last_good_at: lastGoodAt?.toISOString() ?? null, expected_by: since.toISOString() };
      const event = { type: "database_backup_overdue", data, actor: "platform", at: now } as const;
      await recordDatabaseEvent(transaction, addonOf(row), event);
    });
  }
}

function addonOf({ addonId, resourceId, appId, appName }: HealthRow): EventAddon {
  return { id: addonId, resource_id: resourceId, app_id: appId, app_name: appName };
}
