import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Client } from "pg";
import { newObjectId } from "../../src/core/ids.ts";
import { controlSuperuser } from "../faults/backup-scene.ts";
import { InPlaceScene } from "../harness/in-place.ts";
import { isRecord, waitFor } from "../harness/platform.ts";

/** What the stop, the last log and the start take on an idle machine is half a second; this is for a crowded one. */
const DOWNTIME_MAX_MS = 60_000;
/** Its checkpoint is spread over some time. */
const BASE_BACKUP_DEADLINE_MS = 120_000;
const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];

const scene = await InPlaceScene.open({ after });
const { platform } = scene;

test("R3, R5: a restore to before and one to after make two branches, and a time means the one that was live then", async () => {
  await scene.write();
  const two = await scene.write();
  const three = await scene.write();
  await scene.stored(three);

  const first = await scene.restore({ restore_time: two });
  assert.equal(await scene.ledger(), "1,2");
  assert.equal(first["timeline"], 2);
  assert.equal(first["phase"], "done");
  assert.ok(Number(first["downtime_ms"]) > 0 && Number(first["downtime_ms"]) < DOWNTIME_MAX_MS);

  const four = await scene.write();
  await scene.stored(four);
  assert.deepEqual(
    (await scene.window()).branches.map(({ timeline, isLive }) => [timeline, isLive]),
    [
      [2, true],
      [1, false],
    ],
  );
  const second = await scene.restore({ restore_time: three });
  assert.equal(await scene.ledger(), "1,2,3");
  assert.equal(second["timeline"], 3);
  const third = await scene.restore({ restore_time: four });
  assert.equal(await scene.ledger(), "1,2,4");
  assert.equal(third["timeline"], 4);
  const named = await scene.restore({ restore_time: "latest", branch: 1 });
  assert.equal(await scene.ledger(), "1,2,3");
  assert.equal(named["timeline"], 5);
});

test("R6: whatever was acknowledged before the swap is on the branch that was left", async () => {
  const moment = await scene.write();
  await scene.stored(moment);
  const kept = await scene.ledger();
  const id = await scene.begin("restore", { restore_time: moment });
  const acknowledged = await writeUntilEnded(id);
  assert.ok(acknowledged > 0);
  assert.equal(await scene.ledger(), kept);
  const { timeline } = (await scene.window()).branches.find(({ isLive }) => !isLive) ?? {};
  await scene.restore({ restore_time: "latest", branch: timeline });
  const [row] = await scene.query("select count(*)::int as count from traffic");
  assert.equal(row?.["count"], acknowledged);
});

test("database-pitr-restore tells the plan, asks, waits, and database-pitr-undo takes it back", async () => {
  await asSuperuser(["create role reader login password 'of then'", "create role leaver login"]);
  await scene.query("do $$ begin execute format('grant connect on database %I to reader', current_database()); end $$");
  await scene.query("create unlogged table scratch as select 1 as id");
  await scene.query("create table held (id int)");
  await asOwner(["begin", "insert into held values (1)", "prepare transaction 'kept open'"]);
  const moment = await scene.write();
  const before = await scene.ledger();
  const shown = await scene.write();
  await asOwner(["commit prepared 'kept open'"]);
  await asSuperuser(["drop role leaver", "create role newcomer login", "alter role reader password 'of today'"]);
  await scene.stored(await scene.write());
  const latest = await scene.ledger();

  const foreign = Temporal.Instant.from(moment).toZonedDateTimeISO("Asia/Kathmandu").toPlainDateTime().toString();
  const command = [...ON_DATABASE, "database-pitr-restore", `${foreign} Asia/Kathmandu`];
  const planned = await platform.run([...command, "--dry-run"]);
  assert.equal(planned.exitCode, 0, planned.stderr);
  assert.match(planned.stdout, /undo +for 24 hours/);
  assert.match(planned.stdout, /prepared +transaction \d+ "kept open" comes back and holds its locks/);
  const refused = await platform.run(command, { input: "n\n" });
  assert.equal(refused.exitCode, 1);
  assert.equal(await scene.ledger(), latest);

  const restored = await platform.run([...command], { input: "y\n" });
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.match(restored.stdout, /-----> Database restore operation [0-9a-f]{24} has been created/);
  assert.match(restored.stdout, /The database has been restored to/);
  assert.match(restored.stdout, /The user "newcomer" was made later and is gone/);
  assert.match(restored.stdout, /The user "leaver" was removed later and is back, with the password of then/);
  assert.equal(await scene.ledger(), before);
  assert.deepEqual(await scene.query("select * from scratch"), []);
  assert.deepEqual(await scene.query("select gid from pg_prepared_xacts"), [{ gid: "kept open" }]);
  await asOwner(["rollback prepared 'kept open'"]);
  await assertPassword("reader", "of today");
  await scene.query("insert into scratch values (2)");
  const since = await scene.write();
  const written = await scene.ledger();

  const undone = await platform.run([...ON_DATABASE, "database-pitr-undo"], { input: "Y\n" });
  assert.equal(undone.exitCode, 0, undone.stderr);
  assert.equal(await scene.ledger(), latest);
  assert.deepEqual(await scene.query("select * from held"), [{ id: 1 }]);
  assert.deepEqual(await scene.query("select * from scratch"), []);
  assert.match(undone.stdout, /Unlogged tables come back empty: the database has 1/);
  await assertPassword("reader", "of today");
  await scene.stored(await scene.write());
  await scene.restore({ restore_time: since });
  assert.equal(await scene.ledger(), written, "what was written between a restore and its undoing is on a branch");
  await scene.restore({ restore_time: shown });
  const window = await platform.runOk([...ON_DATABASE, "database-pitr-recovery-window"]);
  assert.match(window, /\| Branch \d+, live +\| \d{4}-/);
});

test("R6: a restore ends a base backup that waits, and one of its own branch begins at once", async () => {
  const control = new Client(await controlSuperuser(platform));
  await control.connect();
  const one = async (text: string): Promise<Record<string, unknown>> => (await control.query(text)).rows[0];
  await waitFor(
    async () => (await one("select rebase_reason from wal_streams"))["rebase_reason"] === null,
    "a base backup",
    BASE_BACKUP_DEADLINE_MS,
  );
  const waiting = newObjectId(new Date());
  await control.query(
    "insert into operations (id, kind, addon_id, run_after) values ($1, 'base_backup', $2, now() + interval '1 hour')",
    [waiting, scene.addonId],
  );
  // One that failed just now makes the next one wait, unless other data took the place of what it was of.
  await control.query(
    `insert into operations (id, kind, addon_id, state, ended_at, error_code, error_message)
     values ($1, 'base_backup', $2, 'error', now(), 'disk_full', 'no space')`,
    [newObjectId(new Date()), scene.addonId],
  );
  const moment = await scene.write();
  await scene.stored(moment);
  const { timeline } = await scene.restore({ restore_time: moment });
  const { state, error_code: code } = await one(`select state, error_code from operations where id = '${waiting}'`);
  assert.deepEqual([state, code], ["error", "cancelled"]);
  const bases = `select count(*)::int as count from base_backups where timeline = ${Number(timeline)}`;
  await waitFor(
    async () => (await one(bases))["count"] === 1,
    "a base backup of the new branch",
    BASE_BACKUP_DEADLINE_MS,
  );
  await control.end();
});

test("a restore and a backup keep out of each other's way, and a moment that can't be is refused at once", async () => {
  const post = (path: string, body: unknown) =>
    platform.api("POST", `/api/databases/${scene.addonId}/${path}`, { body });
  const id = await scene.begin("undo");
  assert.equal((await post("backups", {})).status, 409);
  assert.equal((await post("pitr/restore", { restore_time: "latest" })).status, 409);
  const { body } = await platform.api("GET", `/api/databases/${scene.addonId}`);
  const running = isRecord(body) && isRecord(body["database"]) ? body["database"]["current_operation_id"] : undefined;
  assert.ok(running === id || running === null, String(running));
  assert.equal((await scene.ended(id))["status"], "done");

  const future = new Date(Date.now() + 3_600_000).toISOString();
  for (const time of ["2001-01-01T00:00:00Z", future, ""]) {
    const { status, body: answer } = await post("pitr/restore", { restore_time: time });
    assert.equal(status, 422, time);
    assert.ok(
      isRecord(answer) && isRecord(answer["errors"]) && "restore_time" in answer["errors"],
      JSON.stringify(answer),
    );
  }
});

/** Refused by the password alone: whoever has the right one gets as far as the database. */
async function assertPassword(user: string, password: string): Promise<void> {
  const owner = await scene.connect();
  const { host, port, database } = owner;
  await owner.end();
  const connect = async (word: string): Promise<void> => {
    const client = new Client({ host, port, database, user, password: word });
    await client.connect();
    await client.end();
  };
  await connect(password);
  await assert.rejects(connect(`not ${password}`), { code: "28P01" });
  await assert.rejects(connect("of then"), { code: "28P01" });
}

async function asOwner(statements: readonly string[]): Promise<void> {
  const client = await scene.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

/** Commits one row after another until the operation has ended; how many were acknowledged. */
async function writeUntilEnded(id: string): Promise<number> {
  const client = await scene.connect();
  await client.query("create table traffic (id int)");
  const ended = scene.ended(id);
  let acknowledged = 0;
  for (;;) {
    try {
      await client.query("insert into traffic values ($1)", [acknowledged]);
      acknowledged += 1;
    } catch {
      // The server was stopped for the swap.
      break;
    }
  }
  await client.end().catch(() => undefined);
  assert.equal((await ended)["status"], "done");
  return acknowledged;
}

async function asSuperuser(statements: readonly string[]): Promise<void> {
  const client = new Client(await platform.superuser(scene.addonId));
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}
