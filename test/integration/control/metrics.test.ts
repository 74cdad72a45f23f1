import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createMetricsService } from "../../../src/control/metrics.ts";
import { countOperation } from "../../../src/control/operation-totals.ts";
import { isErrorCode } from "../../../src/core/errors.ts";
import { newAddonId, newObjectId } from "../../../src/core/ids.ts";
import { planCatalogue } from "../../../src/policy/plans.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const NOW = new Date("2026-03-01T10:00:00Z");
const hoursAgo = (hours: number): Date => new Date(NOW.getTime() - hours * 3600_000);

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const service = createMetricsService({ database, clock: new SteppedClock(NOW), plans: planCatalogue() });

test("render() tells of every database, of operations and of requests, and each name begins with tidemark_", async () => {
  await addDatabase();
  await countOperation(db, { kind: "logical_backup", outcome: "done", startedAt: null, bytes: 1000 });
  await countOperation(db, { kind: "logical_backup", outcome: "done", startedAt: null, bytes: 500 });
  await countOperation(db, { kind: "logical_backup", outcome: "dump_failed", startedAt: null, bytes: 0 });
  service.observeRequest({ method: "GET", route: "/v1/apps/:app", status: 404, durationMs: 15 });
  service.countError("not_found");
  const text = await service.render("local");
  const of = `{app="shop",resource_id="shop_1",plan="postgresql-starter-512"}`;
  for (const line of [
    `tidemark_database_running${of} 1`,
    `tidemark_database_restorable${of} 0`,
    `tidemark_database_lag_seconds${of} 3600`,
    `tidemark_database_lag_bytes${of} 16777216`,
    `tidemark_database_retained_wal_bytes${of} 33554432`,
    `tidemark_database_recovery_window_seconds${of} 7200`,
    `tidemark_database_last_good_base_backup_age_seconds${of} 10800`,
    `tidemark_database_problem{app="shop",resource_id="shop_1",plan="postgresql-starter-512",problem="stale"} 1`,
    `tidemark_operations_total{kind="logical_backup",outcome="done"} 2`,
    `tidemark_operations_total{kind="logical_backup",outcome="dump_failed"} 1`,
    `tidemark_operation_bytes_total{kind="logical_backup",outcome="done"} 1500`,
    `tidemark_operations_open{kind="base_backup",state="scheduled"} 1`,
    `tidemark_operation_oldest_seconds{kind="base_backup",state="scheduled"} 7200`,
    `tidemark_health_check_age_seconds 3600`,
    `tidemark_http_requests_total{method="GET",route="/v1/apps/:app",status="404"} 1`,
    `tidemark_http_request_duration_seconds_bucket{le="0.02",method="GET",route="/v1/apps/:app"} 1`,
    `tidemark_errors_total{code="not_found"} 1`,
  ])
    assert.ok(text.split("\n").includes(line), `${line}\nis not in\n${text}`);
  const names = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.ok(names.every((line) => line.startsWith("tidemark_")));
});

test("render() is for the owner of the platform where it is asked with a token", async () => {
  const user = { userId: newObjectId(NOW), username: "ben", email: "ben@x", apiTokenId: "t1", loginEpoch: 0 };
  await assert.rejects(service.render({ ...user, isPlatformOwner: false }), (error) => isErrorCode(error, "forbidden"));
  assert.match(await service.render({ ...user, isPlatformOwner: true }), /^# HELP tidemark_/);
});

async function addDatabase(): Promise<void> {
  const [userId, appId, id] = [newObjectId(NOW), newObjectId(NOW), newAddonId()];
  const none = Buffer.from("none");
  await db
    .insertInto("platform")
    .values({ installation_id: "i", wrapped_jwt_key: none, wrapped_url_key: none, health_checked_at: hoursAgo(1) })
    .execute();
  await db
    .insertInto("users")
    .values({ id: userId, username: "ada", email: "a@x", fullname: "", password_hash: "", is_platform_owner: false })
    .execute();
  await db.insertInto("apps").values({ id: appId, name: "shop", owner_id: userId, removed_at: null }).execute();
  const plan = { plan_name: "postgresql-starter-512", state: "running" } as const;
  const times = { created_at: hoursAgo(5), provisioned_at: hoursAgo(5), removed_at: null };
  await db
    .insertInto("addons")
    .values({ id, app_id: appId, name: "postgresql", resource_id: "shop_1", ...plan, ...times })
    .execute();
  const passwords = {
    wrapped_owner_password: none,
    wrapped_backup_password: none,
    wrapped_replication_password: none,
    recipient: "none",
    wrapped_identity: none,
  };
  const running = { status: "running", status_reason: null, port: null, version: null } as const;
  await db
    .insertInto("databases")
    .values({ addon_id: id, host_id: "h", major: 15, ...running, ...passwords })
    .execute();
  const positions = { lineage: "L", stored_lsn: "0/4000000", latest_recoverable_at: hoursAgo(1) };
  await db
    .insertInto("wal_streams")
    .values({ addon_id: id, state: "streaming", ...positions })
    .execute();
  const sizes = { data_bytes: 1, stored_bytes: 1, suspect_pages: 0 };
  const taken = { timeline: 1, start_lsn: "0/1000000", stop_lsn: "0/1000000", started_at: hoursAgo(3) };
  await db
    .insertInto("base_backups")
    .values({ id: newObjectId(NOW), addon_id: id, lineage: "L", finished_at: hoursAgo(3), ...taken, ...sizes })
    .execute();
  const answer = { server_lsn: "0/5000000", retained_wal_bytes: 33_554_432, wal_status: "reserved", asked_at: NOW };
  await db
    .insertInto("database_health")
    .values({ addon_id: id, state: "stale", ...answer })
    .execute();
  await db
    .insertInto("operations")
    .values({ id: newObjectId(NOW), kind: "base_backup", addon_id: id, created_at: hoursAgo(2) })
    .execute();
}
