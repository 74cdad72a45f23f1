import assert from "node:assert/strict";
import { appendFile, readFile, readlink, rename } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { Client } from "pg";
import { TidemarkError } from "../../src/core/errors.ts";
import { formatLsn, parseLsn, toTimelineId } from "../../src/core/lsn.ts";
import { parseTimestamp, timestampFromDate } from "../../src/core/timestamp.ts";
import { verifyPhysicalObjects } from "../../src/repository/verify-objects.ts";
import { readRestoreFacts } from "../../src/restore/facts.ts";
import { openBranch } from "../../src/restore/branch.ts";
import { scanBranch } from "../../src/restore/wal-scan.ts";
import type { TransactionEnd } from "../../src/postgres/wal/record.ts";
import { BackedUpServer, ledgerOf } from "../harness/backed-up-server.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { plan, restore } from "../harness/restored-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

async function spaces(cleanUp: CleanUp, server: PostgresServer): Promise<Map<string, string>> {
  const folder = await makeTempFolder(cleanUp);
  const rows = await server.query<{ oid: string }>("select oid::text from pg_tablespace where oid > 16000");
  return new Map(rows.map(({ oid }) => [oid, join(folder, oid)]));
}

suite("restores along branches of history", { concurrency: 2 }, () => {
  test("R3: after a promotion, the newest timeline is followed across the switch, and the old one stays restorable", async (t) => {
    const scene = await BackedUpServer.open(t);
    await scene.backUp();
    await scene.commitAndStore(4);
    const atSwitch = scene.entries[2];
    assert.ok(atSwitch !== undefined);
    const tablespaces = await spaces(t, scene.server);
    const target = { kind: "time", time: parseTimestamp(atSwitch.time) } as const;
    const undone = await restore(t, scene.archive, { target, tablespaces });
    assert.equal(undone.recovered.timeline, 2);
    // The copy takes over, as after an undo: its history first, then its log.
    const branch = await startPostgresServer(t, {
      dataFolder: undone.folder,
      settings: { max_prepared_transactions: "5" },
    });
    const history = await readFile(join(undone.folder, "pg_wal", "00000002.history"), "utf8");
    const other = scene.wal.onServer(branch);
    await other.follow(2, history, undone.recovered.lsn);
    await branch.query("insert into ledger values (1000, 'on the second timeline')");
    await other.store();

    const latest = await restore(t, scene.archive, {
      target: { kind: "latest" },
      tablespaces: await spaces(t, branch),
    });
    assert.equal(latest.plan.timeline, 2);
    assert.equal(latest.recovered.timeline, 3);
    const second = await startPostgresServer(t, {
      dataFolder: latest.folder,
      settings: { max_prepared_transactions: "5" },
    });
    assert.equal(await ledgerOf(second), `${scene.idsUntil(atSwitch)},1000`);

    const abandoned = {
      target: { kind: "latest" },
      timeline: toTimelineId(1),
      tablespaces: await spaces(t, branch),
    } as const;
    const old = await restore(t, scene.archive, abandoned);
    assert.equal(old.recovered.timeline, 3, "an id that is taken is never taken again");
    const first = await startPostgresServer(t, {
      dataFolder: old.folder,
      settings: { max_prepared_transactions: "5" },
    });
    const last = scene.entries.at(-1);
    assert.ok(last !== undefined);
    assert.equal(await ledgerOf(first), scene.idsUntil(last));
  });

  test("R3: of a server that another one has taken the place of, its own times stay restorable, and those between are refused", async (t) => {
    const old = await BackedUpServer.open(t);
    await old.backUp();
    await old.commitAndStore(3);
    const tablespaces = await spaces(t, old.server);
    await old.server.stop();
    const between = new Date();
    const taker = await BackedUpServer.open(t, { archive: old.archive });
    await taker.backUp();
    await taker.commitAndStore(3);
    for (const scene of [old, taker]) {
      const entry = scene.entries[1];
      assert.ok(entry !== undefined);
      const target = { kind: "time", time: parseTimestamp(entry.time) } as const;
      const { plan: planned } = await plan(t, old.archive, { target, tablespaces });
      assert.deepEqual([planned.lineage, planned.target.lastCommit?.xid], [scene.wal.lineage, entry.xid]);
    }
    const target = { kind: "time", time: timestampFromDate(between) } as const;
    await assert.rejects(plan(t, old.archive, { target, tablespaces }), (error) => {
      assert.ok(error instanceof TidemarkError && error.code === "target_unreachable", String(error));
      assert.equal(error.details?.["before"], old.entries.at(-1)?.time);
      return true;
    });
    const { plan: latest } = await plan(t, old.archive, { target: { kind: "latest" }, tablespaces });
    assert.equal(latest.lineage, taker.wal.lineage);
  });

  test("R4: a tablespace that the log creates is refused where its folder exists, and mapped where it doesn't", async (t) => {
    const scene = await BackedUpServer.open(t);
    await scene.backUp();
    const original = join(scene.server.folder, "later");
    await scene.makeFolder(original);
    await scene.server.query(`create tablespace later location '${original}'`);
    await scene.server.query("create table moved (id int) tablespace later");
    await scene.server.query("insert into moved select generate_series(1, 100)");
    await scene.commitAndStore(1);
    const tablespaces = await spaces(t, scene.server);
    const ask = { target: { kind: "latest" }, tablespaces } as const;
    await assert.rejects(plan(t, scene.archive, ask), { code: "restore_refused" });
    await scene.server.stop();
    await rename(original, `${original}.away`);
    const restored = await restore(t, scene.archive, ask);
    const created = restored.plan.tablespaces.find(({ origin }) => origin === "write-ahead log");
    assert.ok(created !== undefined);
    assert.equal(await readlink(join(restored.folder, "pg_tblspc", created.oid)), created.folder);
    await assert.rejects(readlink(original), { code: "ENOENT" });
    const server = await startPostgresServer(t, {
      dataFolder: restored.folder,
      settings: { max_prepared_transactions: "5" },
    });
    assert.equal(await server.value("select count(*) from moved"), "100");
  });

  test("R5: settings that grew after the backup don't stop the copy half-way, and settings in the data folder don't lead it", async (t) => {
    const scene = await BackedUpServer.open(t);
    // Written as an operator's recovery of long ago leaves them; the server itself ignores them until it recovers.
    await appendFile(
      join(scene.server.dataFolder, "postgresql.auto.conf"),
      "recovery_target_time = '2020-01-01'\nprimary_conninfo = 'host=nowhere'\narchive_mode = 'on'\narchive_command = 'false'\n",
    );
    await scene.backUp();
    await scene.server.stop();
    await scene.server.start([
      "-c",
      "max_connections=150",
      "-c",
      "max_worker_processes=12",
      "-c",
      "max_prepared_transactions=9",
    ]);
    const client = new Client(scene.server.client());
    await client.connect();
    await client.query("begin");
    await client.query("insert into ledger values (999, 'prepared')");
    await client.query("prepare transaction 'kept open'");
    await client.end();
    await scene.commitAndStore(2);
    const restored = await restore(t, scene.archive, {
      target: { kind: "latest" },
      tablespaces: await spaces(t, scene.server),
    });
    assert.equal(restored.plan.minimums.maxConnections, 150);
    assert.deepEqual(
      restored.plan.prepared.map(({ gid }) => gid),
      ["kept open"],
    );
    const server = await startPostgresServer(t, {
      dataFolder: restored.folder,
      settings: { max_prepared_transactions: "9", archive_mode: "off" },
    });
    assert.equal(await server.value("select gid from pg_prepared_xacts"), "kept open");
    await server.query("commit prepared 'kept open'");
    const last = scene.entries.at(-1);
    assert.ok(last !== undefined);
    assert.equal(await ledgerOf(server), `${scene.idsUntil(last)},999`);
  });

  test("R8: resolveTarget() takes everything before the first record that is stamped later, in the log's order", async (t) => {
    const scene = await BackedUpServer.open(t);
    const backup = await scene.backUp();
    const clients = Array.from({ length: 6 }, async () => {
      const client = new Client(scene.server.client());
      await client.connect();
      for (let count = 0; count < 60; count++) await client.query("insert into load (body) values ('x')");
      await client.end();
    });
    await Promise.all(clients);
    await scene.wal.store();
    const facts = await readRestoreFacts(scene.archive);
    const lineage = facts.lineages[0];
    assert.ok(lineage !== undefined);
    const ends: TransactionEnd[] = [];
    await scanBranch(scene.archive, openBranch(lineage, toTimelineId(1)), {
      from: parseLsn(backup.startLsn),
      visit({ fact }) {
        if (fact?.kind === "transaction end") ends.push(fact);
        return undefined;
      },
    });
    assert.ok(ends.length > 300);
    const tablespaces = await spaces(t, scene.server);
    for (let index = ends.length - 300; index < ends.length - 1; index += 43) {
      const time = ends[index]?.time;
      assert.ok(time !== undefined);
      const firstLater = ends.findIndex((end) => end.time > time);
      const expected = ends[firstLater - 1];
      const { plan: planned } = await plan(t, scene.archive, { target: { kind: "time", time }, tablespaces });
      assert.equal(planned.target.lsn, expected === undefined ? undefined : formatLsn(expected.start));
    }
    for await (const { problem } of verifyPhysicalObjects(scene.archive, { isDeep: true }))
      assert.equal(problem, undefined);
  });
});
