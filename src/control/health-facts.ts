import { type Kysely, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { AddonId, ObjectId } from "../core/ids.ts";
import { parseLsn } from "../core/lsn.ts";
import {
  baseBackupDeadline,
  type ContinuousState,
  type ContinuousVerdict,
  findProblems,
  type HealthProblem,
  judgeContinuous,
  periodicDeadline,
} from "../policy/health.ts";
import type { PlanCatalogue } from "../policy/plans.ts";
import type { UtcDay } from "../policy/utc-day.ts";
import type { ControlSchema, DatabaseTable } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** What a server said counts for so long: three of the minutely questions. */
const ANSWER_VALID_MS = 3 * 60_000;

/** One row of facts about a database that is there, all of them read by one statement. */
export interface HealthRow {
  readonly addonId: AddonId;
  readonly resourceId: string;
  readonly appId: ObjectId;
  readonly appName: string;
  readonly ownerName: string;
  readonly planName: string;
  readonly isProvisioning: boolean;
  readonly provisionedAt: Date;
  readonly serverStatus: DatabaseTable["status"];
  readonly statusReason: string | null;
  readonly periodicEnabled: boolean;
  readonly periodicHourUtc: number;
  readonly periodicLastNight: UtcDay;
  readonly periodicChangedAt: Date | null;
  readonly streamState: string | null;
  readonly streamReason: string | null;
  readonly storedLsn: string | null;
  readonly latestRecoverableAt: Date | null;
  /** The end of the oldest base backup of the history that goes on. */
  readonly earliestRecoverableAt: Date | null;
  /** The last moment before a hole that no base backup has closed. */
  readonly openHoleAt: Date | null;
  readonly hasOpenHole: boolean;
  readonly lastBaseBackupAt: Date | null;
  readonly lastGoodNight: UtcDay | null;
  readonly lastGoodBackupAt: Date | null;
  readonly lastBackupError: string | null;
  readonly state: ContinuousState;
  readonly stateSince: Date | null;
  readonly periodicOverdueSince: Date | null;
  readonly baseBackupOverdueSince: Date | null;
  readonly serverLsn: string | null;
  readonly retainedWalBytes: number | null;
  readonly walStatus: string | null;
  readonly askedAt: Date | null;
  readonly sizeBytes: number | null;
}

/**
 * The facts about live databases, by app and order of creation.
 *
 * @param addonIds null for all of the platform
 */
export async function readHealthRows(db: Db, addonIds: readonly string[] | null): Promise<HealthRow[]> {
  const { rows } = await sql<HealthRow>`
    select addons.id as "addonId", addons.resource_id as "resourceId", apps.id as "appId", apps.name as "appName",
      users.username as "ownerName", addons.plan_name as "planName",
      addons.state = 'provisioning' as "isProvisioning",
      coalesce(addons.provisioned_at, addons.created_at) as "provisionedAt",
      databases.status as "serverStatus", databases.status_reason as "statusReason",
      databases.periodic_backups_enabled as "periodicEnabled", databases.periodic_hour_utc as "periodicHourUtc",
      databases.periodic_last_night as "periodicLastNight", databases.periodic_changed_at as "periodicChangedAt",
      streams.state as "streamState", streams.state_reason as "streamReason", streams.stored_lsn::text as "storedLsn",
      streams.latest_recoverable_at as "latestRecoverableAt", bases.earliest as "earliestRecoverableAt",
      hole.at as "openHoleAt", hole.from_lsn is not null as "hasOpenHole", bases.newest as "lastBaseBackupAt",
      good.night as "lastGoodNight", good.at as "lastGoodBackupAt", ended.error as "lastBackupError",
      coalesce(health.state, 'healthy') as "state", health.state_since as "stateSince",
      health.periodic_overdue_since as "periodicOverdueSince",
      health.base_backup_overdue_since as "baseBackupOverdueSince",
      health.server_lsn::text as "serverLsn", health.retained_wal_bytes as "retainedWalBytes",
      health.wal_status as "walStatus", health.asked_at as "askedAt",
      health.size_bytes as "sizeBytes"
    from addons
    join apps on apps.id = addons.app_id
    join users on users.id = apps.owner_id
    join databases on databases.addon_id = addons.id
    left join wal_streams as streams on streams.addon_id = addons.id
    left join database_health as health on health.addon_id = addons.id
    left join lateral (
      select min(finished_at) as earliest, max(started_at) as newest from base_backups
      where base_backups.addon_id = addons.id and base_backups.lineage = streams.lineage
    ) as bases on true
    left join lateral (
      select last_recoverable_at as at, from_lsn from wal_gaps
      where wal_gaps.addon_id = addons.id and wal_gaps.lineage = streams.lineage and not exists (
        select from base_backups where base_backups.lineage = wal_gaps.lineage and start_lsn >= wal_gaps.to_lsn
      )
      order by from_lsn limit 1
    ) as hole on true
    left join lateral (
      select max(night) as night, max(backups.created_at) as at from backups
      join operations on operations.id = backups.operation_id
      where backups.addon_id = addons.id and operations.state = 'done' and removal_began_at is null
    ) as good on true
    left join lateral (
      select operations.error_message as error from backups join operations on operations.id = backups.operation_id
      where backups.addon_id = addons.id and operations.ended_at is not null
        and operations.error_code is distinct from 'cancelled'
      order by backups.id desc limit 1
    ) as ended on true
    where addons.state in ('provisioning', 'running')
      and (${addonIds}::text[] is null or addons.id = any (${addonIds}::text[]))
    order by apps.name, addons.created_at`.execute(db);
  return rows;
}

/** What policy makes of one row now. */
export interface HealthJudgement {
  readonly continuous: ContinuousVerdict;
  /** The newest restorable moment, an open hole counted. */
  readonly latestRecoverableAt: Date | null;
  readonly hasWindow: boolean;
  /** When a good backup should have been there; null unless that has passed. */
  readonly periodicOverdueSince: Date | null;
  readonly baseBackupOverdueSince: Date | null;
  /** The most urgent first. Empty for a database that is being made. */
  readonly problems: readonly HealthProblem[];
}

/** Judges one database by its facts; the state in the row is the one that the last check left. */
export function judgeHealth(row: HealthRow, plans: PlanCatalogue, now: Date): HealthJudgement {
  const plan = plans.find(row.planName);
  if (plan === undefined) throw new TidemarkError("bug", `The plan "${row.planName}" is not in the list of plans`);
  const latest = latestOf(row);
  const hasWindow = latest !== null && row.earliestRecoverableAt !== null && latest >= row.earliestRecoverableAt;
  const isRunning = row.serverStatus === "running";
  const continuous = judgeContinuous(
    {
      state: row.state,
      provisionedAt: row.provisionedAt,
      isRunning,
      latestRecoverableAt: hasWindow ? latest : null,
      storedLsn: row.storedLsn === null ? null : parseLsn(row.storedLsn),
      server: row.hasOpenHole ? null : answerOf(row, now),
    },
    plan.alerts,
    now,
  );
  const periodicOverdueSince = passed(
    periodicDeadline({
      schedule: {
        addonId: row.addonId,
        isEnabled: row.periodicEnabled,
        hourUtc: row.periodicHourUtc,
        lastNight: row.periodicLastNight,
      },
      provisionedAt: row.provisionedAt,
      changedAt: row.periodicChangedAt,
      lastGoodNight: row.lastGoodNight,
    }),
    now,
  );
  const base = { addonId: row.addonId, provisionedAt: row.provisionedAt, lastStartedAt: row.lastBaseBackupAt };
  const baseBackupOverdueSince = passed(baseBackupDeadline(base), now);
  const problems = findProblems({
    state: continuous.state,
    isRunning,
    hasWindow,
    hasOpenHole: row.hasOpenHole,
    lastBackupFailed: row.lastBackupError !== null,
    isPeriodicOverdue: periodicOverdueSince !== null,
    isBaseBackupOverdue: baseBackupOverdueSince !== null,
  });
  return {
    continuous,
    latestRecoverableAt: hasWindow ? latest : null,
    hasWindow,
    periodicOverdueSince,
    baseBackupOverdueSince,
    problems: row.isProvisioning ? [] : problems,
  };
}

function latestOf({ latestRecoverableAt, openHoleAt, hasOpenHole }: HealthRow): Date | null {
  return hasOpenHole ? openHoleAt : latestRecoverableAt;
}

function answerOf({ serverLsn, askedAt, walStatus }: HealthRow, now: Date) {
  if (serverLsn === null || askedAt === null || now.getTime() - askedAt.getTime() > ANSWER_VALID_MS) return null;
  return { lsn: parseLsn(serverLsn), askedAt, walStatus };
}

function passed(deadline: Date | null, now: Date): Date | null {
  return deadline !== null && deadline < now ? deadline : null;
}
