import { nextRuns } from "../policy/backup-schedule.ts";
import { type HealthProblem, isRestorable } from "../policy/health.ts";
import { listAddonsOfUser, requirePlatformOwner } from "./access.ts";
import { readBackups } from "./backup-rows.ts";
import type { ControlContext } from "./context.ts";
import type { Page, PageRequest } from "./event-service.ts";
import { type HealthJudgement, type HealthRow, judgeHealth, readHealthRows } from "./health-facts.ts";
import type { DatabaseHealth, HealthCheck, HealthService } from "./health-service.ts";
import { readOperations } from "./operation-pages.ts";

/** Five rounds of the minutely check: a slow one, or a restart of the platform, is no stall. */
const STALLED_AFTER_MS = 5 * 60_000;

/** Probes want an answer within seconds, also from a platform whose control database hangs. */
const CHECK_TIMEOUT_MS = 1500;

type ReportContext = Pick<ControlContext, "database" | "clock" | "plans"> & {
  /** When this process began: a platform that has just started has had no time to check. */
  readonly startedAt: Date;
};

/** How databases are backed up, as users and the owner of the platform see it. */
export function createHealthService(context: ReportContext): HealthService {
  const { db } = context.database;
  return {
    async ofUser(principal) {
      const addons = await listAddonsOfUser(db, principal, "read");
      const ids = addons.map(({ id }) => id);
      return await Promise.all((await judged(context, ids)).map((each) => report(context, each)));
    },
    async ofPlatform(principal, page) {
      requirePlatformOwner(principal);
      return await worstFirst(context, page);
    },
    async operations(principal, state, page) {
      requirePlatformOwner(principal);
      return await readOperations(db, { state, page });
    },
    check: () => readCheck(context),
  };
}

interface Judged {
  readonly row: HealthRow;
  readonly judgement: HealthJudgement;
}

async function judged(
  { database, clock, plans }: ReportContext,
  addonIds: readonly string[] | null,
): Promise<readonly Judged[]> {
  const rows = await readHealthRows(database.db, addonIds);
  const now = clock.now();
  return rows.map((row) => ({ row, judgement: judgeHealth(row, plans, now) }));
}

async function worstFirst(context: ReportContext, page: PageRequest): Promise<Page<DatabaseHealth>> {
  const all = (await judged(context, null)).toSorted((one, other) => rank(one) - rank(other) || lag(other) - lag(one));
  const first = (page.page - 1) * page.perPage;
  const shown = all.slice(first, first + page.perPage);
  return {
    ...page,
    items: await Promise.all(shown.map((each) => report(context, each))),
    totalCount: all.length,
  };
}

/** In order of urgency; the texts are for people. */
const PROBLEMS: Readonly<Record<HealthProblem, (facts: Judged) => string>> = {
  nothing_restorable: () => "no moment can be restored: there is no base backup with its write-ahead log yet",
  not_restorable_to_now: ({ row }) =>
    `write-ahead log was lost: nothing after ${row.openHoleAt?.toISOString() ?? "the base backup"} can be restored until the next base backup is done`,
  stale: ({ judgement }) => `continuous backups are ${late(judgement)} behind`,
  last_backup_failed: ({ row }) => `the last backup failed: ${row.lastBackupError ?? ""}`,
  backup_overdue: ({ judgement }) =>
    `no good daily backup, which was expected by ${judgement.periodicOverdueSince?.toISOString() ?? ""}`,
  base_backup_overdue: ({ judgement }) =>
    `no good base backup, which was expected by ${judgement.baseBackupOverdueSince?.toISOString() ?? ""}`,
  server_stopped: ({ row }) => `the server is not running: ${row.statusReason ?? "it is stopped"}`,
  delayed: ({ judgement }) => `continuous backups are ${late(judgement)} behind`,
};
const URGENCY = Object.keys(PROBLEMS);

function rank({ judgement: { problems } }: Judged): number {
  const [worst] = problems;
  return worst === undefined ? URGENCY.length : URGENCY.indexOf(worst);
}

function lag({ judgement }: Judged): number {
  return judgement.continuous.lagMs ?? 0;
}

function late({ continuous: { lagMs } }: HealthJudgement): string {
  return lagMs === null ? "some time" : `${Math.round(lagMs / 60_000)} min`;
}

async function report({ database, clock }: ReportContext, each: Judged): Promise<DatabaseHealth> {
  const { row, judgement } = each;
  const { db } = database;
  const now = clock.now();
  const [lastBackup] = await readBackups(db, { addonId: row.addonId, limit: 1 });
  const [lastGoodBackup] = await readBackups(db, { addonId: row.addonId, status: "done", limit: 1 });
  const schedule = {
    addonId: row.addonId,
    isEnabled: row.periodicEnabled,
    hourUtc: row.periodicHourUtc,
    lastNight: row.periodicLastNight,
  };
  const [next] = nextRuns(schedule, { count: 1 }, now);
  const { lagBytes, state } = judgement.continuous;
  return {
    appName: row.appName,
    ownerName: row.ownerName,
    addonId: row.addonId,
    resourceId: row.resourceId,
    planName: row.planName,
    status: row.serverStatus,
    statusReason: row.statusReason,
    lastBackup: lastBackup ?? null,
    lastGoodBackup: lastGoodBackup ?? null,
    nextBackupAt: next?.at ?? null,
    window: windowOf(each, now),
    continuous: {
      state,
      since: row.stateSince,
      lagBytes: lagBytes === null ? null : Number(lagBytes),
      retainedWalBytes: row.retainedWalBytes,
    },
    isRestorable: isRestorable(judgement.problems),
    problems: judgement.problems.map((code) => ({ code, text: PROBLEMS[code](each) })),
  };
}

function windowOf({ row, judgement }: Judged, now: Date): DatabaseHealth["window"] {
  const { earliestRecoverableAt: from } = row;
  const { latestRecoverableAt: latest, continuous } = judgement;
  if (from === null || latest === null) return null;
  const { lagMs } = continuous;
  return { from, to: lagMs === null ? latest : new Date(now.getTime() - lagMs), lagMs };
}

async function readCheck({ database, clock, startedAt }: ReportContext): Promise<HealthCheck> {
  const done = new AbortController();
  try {
    const row = await Promise.race([
      database.db.selectFrom("platform").select("health_checked_at").executeTakeFirst(),
      clock.sleep(CHECK_TIMEOUT_MS, done.signal).then(() => Promise.reject(new Error("no answer in time"))),
    ]);
    const checkedAt = row?.health_checked_at ?? null;
    const since = Math.max(startedAt.getTime(), checkedAt?.getTime() ?? 0);
    return { checkedAt, isStalled: clock.now().getTime() - since > STALLED_AFTER_MS };
  } catch {
    // Told as the answer: whoever asks for the platform's health wants one, above all when the control database gives none.
    return { checkedAt: null, isStalled: true };
  } finally {
    done.abort();
  }
}
