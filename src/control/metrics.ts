import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { requirePlatformOwner } from "./access.ts";
import type { ControlContext } from "./context.ts";
import { type HealthJudgement, type HealthRow, judgeHealth, readHealthRows } from "./health-facts.ts";
import type { MetricsService } from "./metrics-service.ts";
import { isRestorable } from "../policy/health.ts";

/** From an answer out of memory to one that waits for a busy control database. */
const REQUEST_SECONDS_BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10];

type MetricsContext = Pick<ControlContext, "database" | "clock" | "plans">;

/** Metrics of this process's requests, and of what the control database knows of all processes. Every name begins with `tidemark_`. */
export function createMetricsService(context: MetricsContext): MetricsService {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: "tidemark_http_requests_total",
    help: "Requests that this process has answered",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const seconds = new Histogram({
    name: "tidemark_http_request_duration_seconds",
    help: "How long answers took until they began",
    labelNames: ["method", "route"],
    buckets: REQUEST_SECONDS_BUCKETS,
    registers,
  });
  const errors = new Counter({
    name: "tidemark_errors_total",
    help: "Failures that this process has answered, by code of the table of errors",
    labelNames: ["code"],
    registers,
  });
  return {
    observeRequest({ method, route, status, durationMs }) {
      const labels = { method, route: route ?? "none" };
      requests.inc({ ...labels, status });
      seconds.observe(labels, durationMs / 1000);
    },
    countError: (code) => errors.inc({ code }),
    async render(principal) {
      if (principal !== "local") requirePlatformOwner(principal);
      return `${await registry.metrics()}\n${await readControlMetrics(context)}`;
    },
  };
}

/** Made anew for each reading: a database that is gone leaves nothing behind. */
async function readControlMetrics(context: MetricsContext): Promise<string> {
  const registry = new Registry();
  await addPlatform(context, registry);
  await addOperations(context, registry);
  await addDatabases(context, registry);
  return await registry.metrics();
}

async function addPlatform({ database, clock }: MetricsContext, registry: Registry): Promise<void> {
  const row = await database.db.selectFrom("platform").select("health_checked_at").executeTakeFirst();
  const checkedAt = row?.health_checked_at ?? null;
  const age = gauge(registry, "tidemark_health_check_age_seconds", "Since databases were last looked at");
  if (checkedAt !== null) age.set((clock.now().getTime() - checkedAt.getTime()) / 1000);
}

async function addOperations({ database, clock }: MetricsContext, registry: Registry): Promise<void> {
  const { db } = database;
  const registers = [registry];
  const labelNames = ["kind", "outcome"];
  const total = new Counter({
    name: "tidemark_operations_total",
    help: "Operations that have ended, by how",
    labelNames,
    registers,
  });
  const seconds = new Counter({
    name: "tidemark_operation_seconds_total",
    help: "How long ended operations took",
    labelNames,
    registers,
  });
  const bytes = new Counter({
    name: "tidemark_operation_bytes_total",
    help: "Bytes that ended operations have worked through",
    labelNames,
    registers,
  });
  for (const row of await db.selectFrom("operation_totals").selectAll().execute()) {
    const labels = { kind: row.kind, outcome: row.outcome };
    total.inc(labels, row.operations);
    seconds.inc(labels, row.seconds);
    bytes.inc(labels, row.bytes);
  }
  const open = gauge(registry, "tidemark_operations_open", "Operations that wait or run", ["kind", "state"]);
  const oldest = gauge(registry, "tidemark_operation_oldest_seconds", "Age of the oldest one", ["kind", "state"]);
  const queued = await db
    .selectFrom("operations")
    .select((row) => [
      "kind",
      "state",
      row.fn.countAll<number>().as("count"),
      row.fn.min("created_at").as("oldest_created_at"),
    ])
    .where("state", "in", ["scheduled", "running"])
    .groupBy(["kind", "state"])
    .execute();
  for (const row of queued) {
    const labels = { kind: row.kind, state: row.state };
    open.set(labels, row.count);
    oldest.set(labels, (clock.now().getTime() - row.oldest_created_at.getTime()) / 1000);
  }
}

interface DatabaseReading {
  readonly row: HealthRow;
  readonly judgement: HealthJudgement;
  readonly nowMs: number;
}

/** A gauge of each database: its name after `tidemark_database_`, what it says, and its value; null is left out. */
const DATABASE_GAUGES: readonly (readonly [string, string, (reading: DatabaseReading) => number | null])[] = [
  ["running", "1 while its server runs", ({ row }) => (row.serverStatus === "running" ? 1 : 0)],
  [
    "restorable",
    "1 while it is backed up as its plan promises",
    ({ judgement }) => (isRestorable(judgement.problems) ? 1 : 0),
  ],
  [
    "lag_seconds",
    "Age of the newest restorable moment; none while the server is stopped",
    ({ judgement }) => (judgement.continuous.lagMs === null ? null : judgement.continuous.lagMs / 1000),
  ],
  [
    "lag_bytes",
    "Write-ahead log that the server has and the repository hasn't",
    ({ judgement: { continuous } }) => (continuous.lagBytes === null ? null : Number(continuous.lagBytes)),
  ],
  [
    "retained_wal_bytes",
    "Write-ahead log that the server keeps because the repository lacks it",
    ({ row }) => row.retainedWalBytes,
  ],
  [
    "recovery_window_seconds",
    "How long a time any moment of which can be restored",
    ({ row, judgement }) =>
      row.earliestRecoverableAt === null || judgement.latestRecoverableAt === null
        ? 0
        : (judgement.latestRecoverableAt.getTime() - row.earliestRecoverableAt.getTime()) / 1000,
  ],
  [
    "last_good_backup_age_seconds",
    "Since the newest good logical backup was begun",
    ({ row, nowMs }) => ageSeconds(row.lastGoodBackupAt, nowMs),
  ],
  [
    "last_good_base_backup_age_seconds",
    "Since the newest good base backup was begun",
    ({ row, nowMs }) => ageSeconds(row.lastBaseBackupAt, nowMs),
  ],
];

async function addDatabases({ database, clock, plans }: MetricsContext, registry: Registry): Promise<void> {
  const labelNames = ["app", "resource_id", "plan"];
  const gauges = DATABASE_GAUGES.map(
    ([name, help, valueOf]) => [gauge(registry, `tidemark_database_${name}`, help, labelNames), valueOf] as const,
  );
  const problem = gauge(registry, "tidemark_database_problem", "1 for each thing that is wrong with it", [
    ...labelNames,
    "problem",
  ]);
  const now = clock.now();
  for (const row of await readHealthRows(database.db, null)) {
    const judgement = judgeHealth(row, plans, now);
    const labels = { app: row.appName, resource_id: row.resourceId, plan: row.planName };
    for (const [each, valueOf] of gauges) {
      const value = valueOf({ row, judgement, nowMs: now.getTime() });
      if (value !== null) each.set(labels, value);
    }
    for (const code of judgement.problems) problem.set({ ...labels, problem: code }, 1);
  }
}

function ageSeconds(at: Date | null, nowMs: number): number | null {
  return at === null ? null : (nowMs - at.getTime()) / 1000;
}

function gauge(registry: Registry, name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}
