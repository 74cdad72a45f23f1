import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

/** The operator's own: keeps a single manual backup. */
const OWN_PLAN = {
  name: "postgresql-frugal-1024",
  display_name: "Frugal 1G",
  description: "Next to nothing is kept",
  service_class: "starter",
  memory_mb: 1024,
  retention: {
    daily: 1,
    weekly: 0,
    monthly: 0,
    manual: 1,
    recovery_window_days: 2,
    manual_after_deletion_days: 1,
  },
};

/** What the owner of a database does with it beside backups, each by its command, on the real program. */
describe("the administration of a database", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let addonId: string;
  let uri: string;

  before(async () => {
    const plansFile = join(await makeTempFolder(cleanUps), "plans.json");
    await writeFile(plansFile, JSON.stringify({ plans: [OWN_PLAN] }));
    platform = await startPlatform(cleanUps, { environment: { TIDEMARK_PLANS_FILE: plansFile } });
    ({ addonId, uri } = await platform.provision("shop"));
  });
  after(() => cleanUps.run());

  const run = (...args: string[]) => platform.run(["--app", "shop", "--addon", "postgresql", ...args]);
  const runOk = (...args: string[]) => platform.runOk(["--app", "shop", "--addon", "postgresql", ...args]);

  describe("its plan", () => {
    test("a bigger one is taken up by a restart with its memory, and counts from then on", async () => {
      const pid = await platform.serverPid(addonId);
      assert.equal(await ask(uri, "show shared_buffers"), "128MB");
      const said = await runOk("addons-upgrade", "postgresql", "postgresql-business-1024", "--wait");
      assert.match(said, /^-----> Starter 512M becomes Business 1G\n {7}Memory: 1024 MB \(was 512 MB\)\n/);
      assert.match(said, /Recovery window: 7 days \(stays\)/);
      assert.match(said, /The database restarts/);
      assert.match(said, new RegExp(`-----> Addon ${addonId} has been upgraded\n`));
      assert.equal(await ask(uri, "show shared_buffers"), "256MB");
      assert.notEqual(await platform.serverPid(addonId), pid);
      assert.match(await runOk("addons-info"), /\| Plan +\| postgresql-business-1024 +\|/);
    });

    test("a smaller one says which backups go and asks; without a yes nothing changes", async () => {
      for (let made = 0; made < 2; made++) await runOk("backups-create");
      const declined = await platform.run(
        ["--app", "shop", "--addon", "postgresql", "addons-upgrade", "postgresql", OWN_PLAN.name],
        { input: "n\n" },
      );
      assert.equal(declined.exitCode, 1);
      assert.match(declined.stdout, /\| manual \| goes +\|/);
      assert.match(declined.stdout, /Recovery window: 2 days \(was 7\)/);
      assert.match(declined.stderr, /the plan is as before/);
      assert.match(await runOk("addons-info"), /\| Plan +\| postgresql-business-1024 +\|/);
      const pid = await platform.serverPid(addonId);
      const said = await runOk("addons-upgrade", "postgresql", OWN_PLAN.name, "--yes", "--wait");
      assert.match(said, /1 backups that it doesn't keep go within the hour/);
      assert.equal(await platform.serverPid(addonId), pid, "the same memory needs no restart");
      const { body } = await platform.api("GET", `/api/databases/${addonId}/backups`);
      assert.equal(pickList(body, "database_backups").length, 2, "nothing went with the change itself");
    });

    test("the same one, an unknown one and one of nobody's are refused", async () => {
      const same = await run("addons-upgrade", "postgresql", OWN_PLAN.name);
      assert.equal(same.exitCode, 1);
      assert.match(same.stderr, /409 Conflict → .*it is "postgresql-frugal-1024" already/);
      const unknown = await run("addons-upgrade", "postgresql", "no-such-plan");
      assert.match(unknown.stderr, /no plan no-such-plan found for addon postgresql/);
    });

    test("a change survives the platform's death", async () => {
      const begun = await platform.api("PATCH", `/v1/apps/shop/addons/${addonId}`, {
        body: { addon: { plan_id: "postgresql-starter-2048" } },
      });
      assert.equal(begun.status, 200);
      await platform.kill();
      await platform.start();
      await waitFor(async () => {
        const { body } = await platform.api("GET", `/v1/apps/shop/addons/${addonId}`);
        return pick(body, "addon", "plan", "name") === "postgresql-starter-2048";
      }, "the new plan");
      assert.equal(await ask(uri, "show shared_buffers"), "512MB");
    });
  });

  describe("its users", () => {
    const userUri = (name: string, password: string): string => {
      const url = new URL(uri);
      url.username = name;
      url.password = password;
      return url.href;
    };
    const passwordIn = (said: string): string => /password "(.+)"\.$/.exec(said.trim())?.[1] ?? "";

    test("the owner is listed, and protected", async () => {
      const { body } = await platform.api("GET", `/api/databases/${addonId}/users`);
      assert.deepEqual(body, {
        "database-users": [
          {
            name: new URL(uri).username,
            read_only: false,
            protected: true,
            dbms_attributes: { password_encryption: "SCRAM-SHA-256" },
          },
        ],
      });
      for (const command of ["database-users-delete", "database-users-update-password"]) {
        const refused = await run(command, new URL(uri).username);
        assert.equal(refused.exitCode, 1);
        assert.match(refused.stderr, /is managed by the platform/);
      }
    });

    test("a read-only one reads what is there and what is to come, and changes nothing", async () => {
      await ask(uri, "create table before_it as select 1 as n");
      const said = await runOk("database-users-create", "reporting", "--read-only");
      const reader = userUri("reporting", passwordIn(said));
      await ask(uri, "create schema later; create table later.after_it as select 2 as n; create sequence later.s");
      assert.equal(await ask(reader, "select n from before_it"), 1);
      assert.equal(await ask(reader, "select n from later.after_it"), 2);
      for (const forbidden of [
        "insert into before_it values (2)",
        "delete from later.after_it",
        "drop table before_it",
        "create table mine (n integer)",
        "select nextval('later.s')",
        "select rolpassword from pg_authid",
        `set role "${new URL(uri).username}"`,
        "set role tidemark_writers",
        "grant tidemark_writers to reporting",
        `alter role "${new URL(uri).username}" password 'x'`,
      ])
        await assert.rejects(ask(reader, forbidden), /permission denied|must (be|have)/, forbidden);
      assert.match(await runOk("database-users-list"), /\| reporting +\| true +\| false +\| SCRAM-SHA-256 +\|/);
    });

    test("another writes, makes tables of its own, and the owner has all rights to them", async () => {
      const password = "correct horse battery staple";
      const made = await platform.run(
        ["--app", "shop", "--addon", "postgresql", "database-users-create", "ingest_1", "--password-stdin"],
        { input: `${password}\n` },
      );
      assert.deepEqual([made.stdout, made.exitCode], ['User "ingest_1" created.\n', 0], made.stderr);
      const writer = userUri("ingest_1", password);
      await ask(writer, "insert into before_it values (3)");
      await ask(writer, "create table theirs as select 4 as n");
      await ask(uri, "alter table theirs add column m integer; update theirs set m = 5");
      assert.equal(await ask(uri, "select n + m from theirs"), 9);
      await assert.rejects(ask(writer, "drop table before_it"), /must be owner/);
      await assert.rejects(ask(writer, `set role "${new URL(uri).username}"`), /permission denied/);
      const reader = userUri("reporting", passwordIn(await runOk("database-users-update-password", "reporting")));
      assert.equal(await ask(reader, "select n from theirs"), 4);
    });

    test("a new password replaces the old one", async () => {
      const first = passwordIn(await runOk("database-users-update-password", "reporting"));
      const second = passwordIn(await runOk("database-users-update-password", "reporting"));
      assert.match(first, /^\w{64}$/);
      await assert.rejects(ask(userUri("reporting", first), "select 1"), /password authentication failed/);
      assert.equal(await ask(userUri("reporting", second), "select 1"), 1);
    });

    test("one that is deleted is gone with its sessions, and the owner has what it owned", async () => {
      const password = passwordIn(await runOk("database-users-update-password", "ingest_1"));
      const session = new Client({ connectionString: userUri("ingest_1", password).replace(/\?.*/, "") });
      const ended = new Promise((resolve) => session.on("error", resolve));
      await session.connect();
      assert.equal(await runOk("database-users-delete", "ingest_1"), "-----> User ingest_1 has been deleted\n");
      await ended;
      assert.equal(
        await ask(uri, "select tableowner from pg_tables where tablename = 'theirs'"),
        new URL(uri).username,
      );
      await assert.rejects(ask(userUri("ingest_1", password), "select 1"), /password authentication failed/);
      assert.equal((await run("database-users-delete", "ingest_1")).exitCode, 1);
    });

    test("names and passwords that won't do are refused with the reason", async () => {
      const post = (user: object) =>
        platform.api("POST", `/api/databases/${addonId}/users`, { body: { database_user: user } });
      for (const name of [
        "short",
        "Reporting",
        "1reporting",
        "tidemark_x",
        "pg_reader",
        'a"; drop table x; --',
        "reporting",
      ]) {
        const { status, body } = await post({ name });
        assert.equal(status, 422, name);
        assert.ok(pick(body, "errors", "name") !== undefined, name);
      }
      const weak = { name: "reporter", password: "short", password_confirmation: "short" };
      assert.equal((await post(weak)).status, 422);
      const slip = { name: "reporter", password: "p".repeat(24), password_confirmation: "q".repeat(24) };
      assert.ok(pick((await post(slip)).body, "errors", "password_confirmation") !== undefined);
    });

    test("a dump is taken and restored as before, whoever owns its tables", async () => {
      const said = await runOk("backups-create");
      assert.match(said, /Backup successfully finished/);
    });
  });

  describe("its features", () => {
    test("force-ssl cuts sessions in clear, refuses new ones, and survives a restart of the platform", async () => {
      const plain = new Client({ connectionString: uri.replace(/\?.*/, "") });
      const cut = new Promise((resolve) => plain.on("error", resolve));
      await plain.connect();
      assert.match(await runOk("addons-info"), /\| Force TLS +\| disabled +\|/);
      assert.equal(
        await runOk("database-enable-feature", "force-ssl", "--synchronous"),
        "-----> Feature force-ssl has been enabled\n",
      );
      await cut;
      await assert.rejects(ask(uri, "select 1"), /no encryption/);
      assert.equal(await ask(uri, "select 1", { ssl: { rejectUnauthorized: false } }), 1);
      assert.match(await runOk("addons-info"), /\| Force TLS +\| activated +\|/);
      await platform.stop();
      await platform.start();
      await waitFor(
        async () => (await ask(uri, "select 1", { ssl: { rejectUnauthorized: false } }).catch(() => 0)) === 1,
        "the database",
      );
      await assert.rejects(ask(uri, "select 1"), /no encryption/);
      assert.equal(
        await runOk("database-disable-feature", "force-ssl"),
        "-----> Feature force-ssl has been disabled.\n",
      );
      await waitFor(async () => (await ask(uri, "select 1").catch(() => 0)) === 1, "a session in clear");
      assert.match(await runOk("addons-info"), /\| Force TLS +\| disabled +\|/);
    });

    test("publicly-available is refused where databases listen for this machine only", async () => {
      const refused = await run("database-enable-feature", "publicly-available");
      assert.equal(refused.exitCode, 1);
      assert.match(refused.stderr, /listen on 127\.0\.0\.1, which no other machine reaches/);
      assert.match(refused.stderr, /TIDEMARK_DATABASE_BIND/);
      const unknown = await platform.api("POST", `/api/databases/${addonId}/features`, {
        body: { feature: { name: "time-travel" } },
      });
      assert.equal(unknown.status, 422);
    });
  });

  describe("its log", () => {
    test("shows the last lines, each with its time and instance, and no password", async () => {
      const secret = "an old secret in clear";
      const failing = `alter role nobody_knows password '${secret}'`;
      await assert.rejects(ask(uri, failing));
      await assert.rejects(ask(uri, "select 1 / 0"), /division by zero/);
      // An entry of lines that are empty or a character long.
      await assert.rejects(ask(uri, "select 1\n\n/\n \n0"), /division by zero/);
      const shown = await runOk("logs", "-n", "50");
      assert.match(shown, /^\S+ \S+ \+0000 UTC \[postgresql-1\] .*ERROR: {2}division by zero$/m);
      assert.match(shown, /alter role nobody_knows password '\*{8}'/);
      assert.ok(!shown.includes(secret));
      for (const line of shown.trim().split("\n")) assert.match(line, /^[\d-]+ [\d:.]+ \+0000 UTC \[postgresql-1\] /);
      assert.equal((await runOk("logs", "-n", "1")).trim().split("\n").length, 1);
    });

    test("is kept when it is full: the archive is listed and read by its address", async () => {
      assert.match(await runOk("logs-archives"), /^-----> Nothing was set aside/);
      const log = join(platform.home, "databases", addonId, "log/postgresql.log");
      await writeFile(`${log}.1`, "2026-11-22 17:11:35.123 UTC [1] LOG:  begins\n\tgoes on\n");
      const shown = await runOk("logs-archives");
      assert.match(shown, /\| 2026-11-22T17:11:35\.123Z +\|/);
      const { body } = await platform.api("GET", `/api/databases/${addonId}/logs_archives?page=1`);
      assert.deepEqual([pick(body, "has_more"), pick(body, "next_cursor")], [false, ""]);
      const address = pickText(body, "archives", 0, "url");
      assert.equal(
        await (await fetch(address)).text(),
        "2026-11-22 17:11:35.123 +0000 UTC [postgresql-1] [1] LOG:  begins\n" +
          "2026-11-22 17:11:35.123 +0000 UTC [postgresql-1] \tgoes on\n",
      );
      assert.equal((await fetch(address.replace(/token=../, "token=xx"))).status, 403);
    });

    test("is followed as it is written", async () => {
      const { body } = await platform.api("GET", `/api/databases/${addonId}/logs`);
      const url = new URL(pickText(body, "url").replace(/^http/, "ws"));
      url.searchParams.set("stream", "true");
      const socket = new WebSocket(url);
      let received = "";
      socket.addEventListener("message", ({ data }) => (received += String(pick(JSON.parse(String(data)), "log"))));
      await once(socket, "open", { signal: AbortSignal.timeout(60_000) });
      await waitFor(async () => {
        await ask(uri, "select no_such_function()").catch(() => undefined);
        return received.includes("no_such_function()");
      }, "the line");
      socket.close();
    });
  });

  describe("its maintenance", () => {
    test("the window is Tuesday night until it is moved, by the clock of whoever moves it", async () => {
      const inUtc = (...args: string[]) =>
        platform.run(["--app", "shop", "--addon", "postgresql", ...args], { environment: { TZ: "UTC" } });
      assert.match((await inUtc("addons-info")).stdout, /\| Maintenance window +\| Tuesdays at 22:00 \(08 hours\) +\|/);
      const moved = await inUtc(
        "addons-config",
        "--maintenance-window-day",
        "sunday",
        "--maintenance-window-hour",
        "3",
      );
      assert.match(moved.stdout, /^Addon config updated\.\n {7}Maintenance window: Sundays at 03:00 \(08 hours\)\n/);
      const { body } = await platform.api("GET", `/api/databases/${addonId}`);
      assert.deepEqual(pick(body, "database", "maintenance_window"), {
        weekday_utc: 0,
        starting_hour_utc: 3,
        duration_in_hour: 8,
      });
      const tokyo = await platform.run(
        [
          "--app",
          "shop",
          "--addon",
          "postgresql",
          "addons-config",
          "--maintenance-window-day",
          "monday",
          "--maintenance-window-hour",
          "1",
        ],
        { environment: { TZ: "Asia/Tokyo" } },
      );
      assert.match(tokyo.stdout, /Mondays at 01:00/, tokyo.stderr);
      assert.match((await inUtc("addons-config")).stdout, /Sundays at 16:00/);
      assert.equal((await inUtc("addons-config", "--maintenance-window-hour", "24")).exitCode, 2);
    });

    test("what waits for a restart is planned, done in the window and told, and never outside of it", async () => {
      const list = async () => {
        const { body } = await platform.api("GET", `/api/databases/${addonId}/maintenance?page=1&per_page=20`);
        return pickList(body, "maintenance");
      };
      const hourNow = new Date().getUTCHours();
      const weekdayNow = new Date().getUTCDay();
      const moveWindow = async (weekday: number) => {
        const window = { weekday_utc: weekday, starting_hour_utc: hourNow, duration_in_hour: 3 };
        await platform.api("PATCH", `/api/databases/${addonId}`, {
          body: { database: { maintenance_window: window } },
        });
      };
      await moveWindow((weekdayNow + 3) % 7);
      const superuser = new Client(await platform.superuser(addonId));
      await superuser.connect();
      await superuser.query("alter system set max_connections = 121");
      await superuser.query("select pg_reload_conf()");
      await superuser.end();
      await waitFor(async () => pick((await list())[0], "status") === "scheduled", "a planned maintenance", 120_000);
      const [planned] = await list();
      assert.equal(pick(planned, "reason"), "Settings wait for a restart: max_connections");
      const info = await runOk("database-maintenance-info", pickText(planned, "id"));
      assert.match(info, /\| Started At +\| Not started +\|/);
      assert.match(info, /\| Next Maintenance Window +\| \w+days at /);
      const pid = await platform.serverPid(addonId);
      await moveWindow(weekdayNow);
      await waitFor(async () => pick((await list())[0], "status") === "done", "the end of the maintenance", 120_000);
      assert.notEqual(await platform.serverPid(addonId), pid);
      assert.match(
        await runOk("database-maintenance-list"),
        /\| restart \| [\d/]+ [\d:]+ \| [\d/]+ [\d:]+ \| done +\|/,
      );
      const { body } = await platform.api("GET", "/v1/apps/shop/events?page=1&per_page=100");
      const types = pickList(body, "events").map((event) => pickText(event, "type"));
      const told = types.filter((type) => type.endsWith("_database_maintenance"));
      assert.deepEqual(told, [
        "complete_database_maintenance",
        "start_database_maintenance",
        "plan_database_maintenance",
      ]);
    });
  });
});

/** The first value of the first row. */
async function ask(uri: string, sql: string, options: { ssl?: { rejectUnauthorized: false } } = {}): Promise<unknown> {
  const client = new Client({ connectionString: uri.replace(/\?.*/, ""), ...options });
  client.on("error", () => undefined);
  await client.connect();
  try {
    // Several statements have several results.
    const results = [await client.query({ text: sql, rowMode: "array" })].flat();
    return results.at(-1)?.rows[0]?.[0];
  } finally {
    await client.end();
  }
}
