import assert from "node:assert/strict";
import { after, test } from "node:test";
import { sql } from "kysely";
import { schedulePeriodicBackups } from "../../../src/control/backup-schedule.ts";
import { openQueue, queueName } from "../../../src/control/queue.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { isFullRun } from "../../harness/full.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const DATABASES = isFullRun ? 10_000 : 300;
const SCHEDULERS = 2;
/** Real schedulers look every two seconds; what one look may begin is enough at this step, too. */
const STEP_MS = 30_000;
const HOUR_MS = 3600_000;
const BUCKETS = 12;
const HOST_ID = "0a1b2c3d";
const NIGHT = "2026-03-29";
/** Ten minutes before the default hour, in the night in which clocks change in Europe. */
const START = new Date("2026-03-28T23:50:00Z");

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const queue = await openQueue(database, { queues: [queueName("logical_backup", HOST_ID)], logger: quietLogger });
after(() => queue.close());
const { db } = database;

test(`schedulePeriodicBackups() begins the night of ${DATABASES} databases: none missed, none twice, spread over the hour`, async (t) => {
  const clock = new SteppedClock(START);
  const context = { database, queue, clock, logger: quietLogger };
  await addDatabases();
  const beganAt = performance.now();
  let slowestMs = 0;
  while (clock.now().getTime() < START.getTime() + 1.5 * HOUR_MS) {
    clock.advance(STEP_MS);
    const lookedAt = performance.now();
    await Promise.all(Array.from({ length: SCHEDULERS }, () => schedulePeriodicBackups(context)));
    slowestMs = Math.max(slowestMs, performance.now() - lookedAt);
    // As workers would: whoever is done could get another one.
    await db
      .updateTable("operations")
      .set({ state: "done", ended_at: clock.now() })
      .where("state", "=", "scheduled")
      .execute();
  }
  t.diagnostic(
    `${DATABASES} databases in ${Math.round(performance.now() - beganAt)} ms, slowest look ${Math.round(slowestMs)} ms`,
  );
  const rows = await db.selectFrom("backups").select(["addon_id", "night", "created_at"]).execute();
  assert.equal(rows.length, DATABASES);
  assert.equal(new Set(rows.map((row) => row.addon_id)).size, DATABASES);
  assert.ok(rows.every(({ night }) => night === NIGHT));
  const midnightMs = Date.parse(`${NIGHT}T00:00:00Z`);
  const counts = Array.from({ length: BUCKETS }, () => 0);
  for (const { created_at: at } of rows) {
    const bucket = Math.floor(((at.getTime() - midnightMs - 1) / HOUR_MS) * BUCKETS);
    counts[bucket] = (counts[bucket] ?? Number.NaN) + 1;
  }
  const mean = DATABASES / BUCKETS;
  // The ids are always the same, and so is the spread.
  for (const count of counts) assert.ok(count > mean * 0.5 && count < mean * 1.5, JSON.stringify(counts));
});

async function addDatabases(): Promise<void> {
  await sql`insert into users (id, username, email, fullname, password_hash, is_platform_owner)
    values ('u', 'owner', 'o@x', '', '', true)`.execute(db);
  await sql`insert into apps (id, name, owner_id) values ('a', 'shop', 'u')`.execute(db);
  const id = sql`'ad-00000000-0000-4000-8000-' || lpad(n::text, 12, '0')`;
  await sql`insert into addons (id, app_id, name, resource_id, plan_name, state, provisioned_at)
    select ${id}, 'a', 'n' || n, 'shop_' || n, 'postgresql-starter-512', 'running', now()
    from generate_series(1, ${DATABASES}::integer) n`.execute(db);
  await sql`insert into databases (addon_id, host_id, major, status, wrapped_owner_password, wrapped_backup_password,
      wrapped_replication_password, recipient, wrapped_identity, periodic_last_night)
    select ${id}, ${HOST_ID}, 15, 'running', '', '', '', '', '', '2026-03-28'
    from generate_series(1, ${DATABASES}::integer) n`.execute(db);
}
