import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";

const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];
const ROWS = 500;

const TABLES = `
  create extension if not exists pg_trgm;
  create schema sales;
  create table sales.orders (id int primary key, note text not null);
  insert into sales.orders select n, md5(n::text) from generate_series(1, ${ROWS}) n;
  create index orders_by_likeness on sales.orders using gin (note gin_trgm_ops);
  create table lines (id int primary key, order_id int references sales.orders, amount numeric);
  insert into lines select n, n, n / 7.0 from generate_series(1, ${ROWS}) n;
  create view totals as select order_id, sum(amount) as total from lines group by order_id;
  create function doubled(numeric) returns numeric language sql as 'select $1 * 2';
  select lo_from_bytea(0, 'a large object');
`;
const CONTENTS = `select
  (select md5(string_agg(t::text, ',' order by id)) from sales.orders t) ||
  (select md5(string_agg(t::text, ',' order by id)) from lines t) ||
  (select sum(total)::text from totals) || doubled(21)::text ||
  (select string_agg(convert_from(lo_get(oid), 'UTF8'), ',') from pg_largeobject_metadata) as contents`;

describe("backups-restore on a real platform", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let shop = { addonId: "", uri: "", resourceId: "" };
  let spare = { addonId: "", uri: "", resourceId: "" };
  let backupId = "";
  let contents = "";

  before(async () => {
    platform = await startPlatform(cleanUps);
    shop = await platform.provision("shop");
    spare = await platform.provision("spare");
    await query(shop.uri, TABLES);
    contents = await contentsOf(shop.uri);
    await platform.runOk([...ON_DATABASE, "backups-create"]);
    const { body } = await platform.api("GET", `/api/databases/${shop.addonId}/backups`);
    backupId = pickText(body, "database_backups", 0, "id");
  });
  after(() => cleanUps.run());

  test("brings back what was lost, leaves what the backup doesn't hold, and says so for every object", async () => {
    await query(
      shop.uri,
      "drop table lines cascade; delete from sales.orders where id > 10; create table later (id int)",
    );
    const refused = await platform.run([...ON_DATABASE, "backups-restore", backupId], { input: "n\n" });
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /will replace the data of postgresql.*nothing was restored/s);
    const printed = await platform.runOk([...ON_DATABASE, "backups-restore", backupId], { input: "y\n" });
    assert.match(printed, /EXTENSION - pg_trgm: kept/);
    assert.match(printed, /-----> Objects: \d+ restored, 1 kept\n/);
    assert.match(printed, new RegExp(`-----> Backup ${backupId} has been restored into ${shop.resourceId}\n`));
    assert.equal(await contentsOf(shop.uri), contents);
    assert.equal(await query(shop.uri, "select count(*)::text from later"), "0");
    const owners = await query(
      shop.uri,
      "select string_agg(distinct relowner::regrole::text, ',') from pg_class where relnamespace in ('public'::regnamespace, 'sales'::regnamespace)",
    );
    assert.equal(owners, shop.resourceId);
  });

  test("restores into another database of the user, by its id", async () => {
    const words = [...ON_DATABASE, "backups-restore", backupId, "--to", spare.addonId, "--yes"];
    assert.match(await platform.runOk(words), new RegExp(`has been restored into ${spare.resourceId}\n`));
    assert.equal(await contentsOf(spare.uri), contents);
    const { body } = await platform.api("GET", `/api/databases/${spare.addonId}/logical_restores`);
    assert.equal(pick(body, "logical_restores", 0, "source_database_id"), shop.addonId);
    const token = await platform.api("POST", `/v1/apps/shop/addons/${shop.addonId}/token`);
    const addonToken = pickText(token.body, "addon", "token");
    const path = `/api/databases/${shop.addonId}/backups/${backupId}/restore`;
    const other = { token: addonToken, body: { restore: { to: spare.addonId } } };
    assert.equal((await platform.api("POST", path, other)).status, 404, "an addon's token opens that addon alone");
  });

  test("ends as an error that names each object which failed, restores the others, and doubles no rows", async (t) => {
    t.after(() => query(shop.uri, "drop view needed"));
    await query(shop.uri, "create view needed as select * from lines; drop function doubled");
    const result = await platform.run([...ON_DATABASE, "backups-restore", backupId, "--yes"]);
    assert.equal(result.exitCode, 1);
    assert.match(result.stdout, /TABLE public lines: failed\n.*other objects depend on it\n/);
    assert.match(result.stdout, /TABLE DATA public lines: failed\n.*Its table could not be made anew\n/);
    assert.match(result.stderr, /objects of backup .* could not be restored into shop_\d+/);
    assert.equal(await query(shop.uri, "select count(*)::text from lines"), String(ROWS));
    assert.equal(await query(shop.uri, "select doubled(21)::text"), "42");
    const { body } = await platform.api("GET", `/api/databases/${shop.addonId}/logical_restores`);
    const id = pickText(body, "logical_restores", 0, "id");
    const shown = (await platform.api("GET", `/api/logical_restores/${id}`)).body;
    assert.equal(pick(shown, "logical_restore", "status"), "error");
    assert.equal(pick(shown, "logical_restore", "error", "code"), "restore_incomplete");
    const outcomes = pickList(shown, "logical_restore", "objects").map((object) => pick(object, "outcome"));
    assert.equal(
      outcomes.filter((outcome) => outcome === "failed").length,
      pick(shown, "logical_restore", "counts", "failed"),
    );
    assert.ok(outcomes.includes("restored"));
    const { body: events } = await platform.api("GET", "/v1/apps/shop/events");
    const types = new Set(pickList(events, "events").map((event) => pick(event, "type")));
    for (const end of ["started", "succeeded", "failed"]) assert.ok(types.has(`database_restore_${end}`), end);
  });

  test("is repeated whole by another worker when its own is killed, and one at a time runs", async () => {
    const lock = await holdLock();
    const id = await begin();
    await untilBlocked();
    const again = await platform.run([...ON_DATABASE, "backups-restore", backupId, "--yes", "--detach"]);
    assert.equal(again.exitCode, 1);
    assert.match(again.stderr, /Other work on the database is under way/);
    process.kill(await platform.workerPid(), "SIGKILL");
    await lock.release();
    await waitFor(async () => (await statusOf(id)) === "done", `the restore ${id}`);
    assert.equal(await contentsOf(shop.uri), contents);
  });

  test("is ended by backups-restores-cancel, and a further restore puts the database right", async () => {
    const lock = await holdLock();
    const id = await begin();
    await untilBlocked();
    await platform.runOk([...ON_DATABASE, "backups-restores-cancel", id]);
    await waitFor(async () => (await statusOf(id)) === "error", `the end of ${id}`);
    const shown = await platform.runOk([...ON_DATABASE, "backups-restores", id]);
    assert.match(shown, /: error\n/);
    await lock.release();
    await platform.runOk([...ON_DATABASE, "backups-restore", backupId, "--yes"]);
    assert.equal(await contentsOf(shop.uri), contents);
    assert.match(await platform.runOk([...ON_DATABASE, "backups-restores"]), new RegExp(`\\| ${id} \\| ${backupId} `));
  });

  async function begin(): Promise<string> {
    const printed = await platform.runOk([...ON_DATABASE, "backups-restore", backupId, "--yes", "--detach", "--json"]);
    return pickText(JSON.parse(printed), "logical_restore", "id");
  }

  async function statusOf(id: string): Promise<unknown> {
    return pick((await platform.api("GET", `/api/logical_restores/${id}`)).body, "logical_restore", "status");
  }

  /** A lock that the restore's DROP TABLE waits for. */
  async function holdLock(): Promise<{ release: () => Promise<void> }> {
    const client = await connect(shop.uri);
    let isHeld = true;
    const release = async (): Promise<void> => {
      if (isHeld) await client.end();
      isHeld = false;
    };
    cleanUps.after(release);
    await client.query("begin; select from lines limit 1");
    return { release };
  }

  async function untilBlocked(): Promise<void> {
    await waitFor(async () => {
      const waiting = await query(
        shop.uri,
        "select count(*)::text from pg_stat_activity where application_name like 'tidemark-restore-%' and wait_event_type = 'Lock'",
      );
      return waiting === "1";
    }, "a restore that waits for a lock");
  }
});

async function connect(uri: string): Promise<Client> {
  // Without `sslmode`: `pg` reads it otherwise than libpq, and wants a certificate that it can verify.
  const client = new Client({ connectionString: uri.replace(/\?.*$/, "") });
  client.on("error", () => undefined); // its platform may end before it does
  await client.connect();
  return client;
}

/** The first value of the first row of one statement; "" of several. */
async function query(uri: string, text: string): Promise<string> {
  const client = await connect(uri);
  try {
    const result: unknown = await client.query({ text, rowMode: "array" });
    const value = pick(result, "rows", 0, 0);
    return typeof value === "string" ? value : "";
  } finally {
    await client.end();
  }
}

async function contentsOf(uri: string): Promise<string> {
  return await query(uri, CONTENTS);
}
