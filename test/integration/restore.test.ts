import assert from "node:assert/strict";
import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Client } from "pg";
import { formatLsn, parseLsn } from "../../src/core/lsn.ts";
import { parseTimestamp } from "../../src/core/timestamp.ts";
import type { BaseBackupManifest } from "../../src/repository/base-backup-set.ts";
import { readServerManifest } from "../../src/repository/base-backup-set.ts";
import { fetchBaseBackup } from "../../src/restore/fetch.ts";
import { recover } from "../../src/restore/recover.ts";
import { BackedUpServer, ledgerOf } from "../harness/backed-up-server.ts";
import {
  type PostgresServer,
  makeServerFolder,
  runProgram,
  serverUser,
  startPostgresServer,
} from "../harness/postgres-server.ts";
import { type RestoredFolder, plan, restore, restoreCall, stopCopy } from "../harness/restored-server.ts";
import { sandboxObstacle } from "../harness/sandbox-obstacle.ts";
import { SmallDisk, canMountDisks } from "../harness/small-disk.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const cleanUps: (() => Promise<void>)[] = [];
let scene: BackedUpServer;
let first: BaseBackupManifest;
let oid: string;

async function spaces(cleanUp: CleanUp): Promise<ReadonlyMap<string, string>> {
  return new Map([[oid, join(await makeTempFolder(cleanUp), "space")]]);
}

/** Starts a restored folder as an ordinary server. */
async function startRestored(cleanUp: CleanUp, { folder }: RestoredFolder): Promise<PostgresServer> {
  return startPostgresServer(cleanUp, { dataFolder: folder, settings: { max_prepared_transactions: "5" } });
}

suite("restore", () => {
  before(async () => {
    scene = await BackedUpServer.open({ after: (clean) => void cleanUps.push(clean) });
    await scene.commit();
    first = await scene.backUp();
    oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
    for (let count = 0; count < 10; count++) await scene.commit();
    await scene.server.query("select pg_switch_wal()");
    await scene.wal.store();
    for (let count = 0; count < 10; count++) await scene.commit();
    await scene.wal.store();
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("executeRestore() to the latest moment brings every row back, tablespaces included, and the cluster is whole", async (t) => {
    const last = scene.entries.at(-1);
    assert.ok(last !== undefined);
    const tablespaces = await spaces(t);
    const restored = await restore(t, scene.archive, { target: { kind: "latest" }, tablespaces });
    assert.equal(restored.plan.target.lastCommit?.time, last.time);
    assert.equal(restored.recovered.timeline, 2);
    assert.match(restored.plan.losses.join("\n"), /the base backup has 1 unlogged tables/);
    assert.deepEqual(
      (await readdir(restored.folder)).filter((name) => /tidemark|signal|_map$/.test(name)),
      [],
    );
    assert.equal((await stat(restored.folder)).mode & 0o777, 0o700);
    const server = await startRestored(t, restored);
    assert.equal(await ledgerOf(server), scene.idsUntil(last));
    assert.equal(await server.value("select count(*) from elsewhere"), "1000");
    assert.equal(
      await server.value("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'extra'"),
      tablespaces.get(oid),
    );
    assert.equal(await server.value("select count(*) from fleeting"), "0");
    await server.query("create extension amcheck");
    await runProgram("pg_amcheck", [
      "--host",
      server.folder,
      "--port",
      "5432",
      "--username=postgres",
      "--all",
      "--heapallindexed",
    ]);
  });

  test("fetchBaseBackup() lays out what PostgreSQL's own pg_verifybackup finds complete", async (t) => {
    const user = await serverUser();
    const folder = join(await makeTempFolder(t), "data");
    const space = join(await makeTempFolder(t), "space");
    const tablespaces = [{ oid, originalPath: "/", folder: space, origin: "base backup" as const }];
    const owner = user.uid === undefined ? undefined : user;
    await fetchBaseBackup(scene.archive, { base: first, folder, tablespaces, owner });
    assert.equal(await readFile(join(folder, "tablespace_map"), "utf8"), `${oid} ${space}\n`);
    // The map is ours, and the tablespace's files are linked by the server's first start only.
    const manifest: Uint8Array[] = [];
    for await (const chunk of readServerManifest(scene.archive, first)) manifest.push(chunk);
    await writeFile(join(folder, "backup_manifest"), Buffer.concat(manifest));
    const ignored = ["tablespace_map", "recovery.signal", "tidemark-restore", "pg_tblspc"].map(
      (name) => `--ignore=${name}`,
    );
    await runProgram("pg_verifybackup", ["--no-parse-wal", ...ignored, folder]);
  });

  test("R8: executeRestore() to a commit's time brings back that commit and none after it", async (t) => {
    const entry = scene.entries[7];
    assert.ok(entry !== undefined);
    const target = { kind: "time", time: parseTimestamp(entry.time) } as const;
    const restored = await restore(t, scene.archive, { target, tablespaces: await spaces(t) });
    assert.equal(restored.plan.target.lastCommit?.xid, entry.xid);
    assert.equal(restored.plan.target.firstLeftOut?.xid, entry.xid + 1);
    const server = await startRestored(t, restored);
    assert.equal(await ledgerOf(server), scene.idsUntil(entry));
  });

  test("executeRestore() to a position leaves a paused copy at exactly that record when asked to", async (t) => {
    const entry = scene.entries[13];
    assert.ok(entry !== undefined);
    const target = { kind: "lsn", lsn: parseLsn(entry.lsn) } as const;
    const { recovered, plan: planned } = await restore(
      t,
      scene.archive,
      { target, tablespaces: await spaces(t) },
      { end: "paused" },
    );
    const { running } = recovered;
    assert.ok(running !== undefined);
    assert.equal(formatLsn(recovered.lsn), planned.target.endLsn);
    const where = [
      "--host",
      running.connection.host,
      "--username=postgres",
      "--dbname=postgres",
      "--no-align",
      "--tuples-only",
    ];
    const query = "select count(*), pg_is_in_recovery(), pg_get_wal_replay_pause_state() from ledger";
    assert.equal((await runProgram("psql", [...where, "--command", query])).trim(), `${entry.id}|t|paused`);
  });

  test("R7: recover() leads a paused copy forward after a restart, and never back: that is another copy", async (t) => {
    const [early, late] = [scene.entries[5], scene.entries[15]];
    assert.ok(early !== undefined && late !== undefined);
    const tablespaces = await spaces(t);
    const ask = (entry: typeof early) => ({ target: { kind: "lsn", lsn: parseLsn(entry.lsn) }, tablespaces }) as const;
    const { folder, recovered } = await restore(t, scene.archive, ask(early), { end: "paused" });
    await stopCopy(recovered);
    const lead = async (entry: typeof early) => {
      const { target, lineage, plan: planned } = await plan(t, scene.archive, { ...ask(entry), folder });
      for (const name of ["wal", "wanted", "histories", "ended"])
        await rm(join(folder, "tidemark-restore", name), { recursive: true, force: true });
      const call = { ...(await restoreCall(t, { end: "paused" })), onProgress: undefined };
      return recover(scene.archive, { ...call, dataFolder: folder, target, lineage, tablespaces: planned.tablespaces });
    };
    const forward = await lead(late);
    assert.ok(forward.running !== undefined);
    const { host } = forward.running.connection;
    const query = ["--host", host, "--username=postgres", "--no-align", "--tuples-only", "--command"];
    assert.equal(
      (await runProgram("psql", [...query, "select count(*) from ledger", "postgres"])).trim(),
      `${late.id}`,
    );
    await stopCopy(forward);
    await assert.rejects(lead(early), { code: "recovery_failed" });
  });

  test("resolveTarget() to a transaction ends with its commit", async (t) => {
    const entry = scene.entries[9];
    assert.ok(entry !== undefined);
    const ask = { target: { kind: "xid", xid: entry.xid }, tablespaces: await spaces(t) } as const;
    const { plan: planned } = await plan(t, scene.archive, ask);
    assert.equal(planned.target.lastCommit?.time, entry.time);
    assert.ok(parseLsn(planned.target.endLsn) <= parseLsn(entry.lsn));
  });

  test(
    "R4: a recovering copy can write in its own folders and nowhere else",
    { skip: sandboxObstacle() },
    async (t) => {
      const live = join(await makeTempFolder(t), "live");
      await makeServerFolder(live);
      const restored = await restore(
        t,
        scene.archive,
        { target: { kind: "latest" }, tablespaces: await spaces(t) },
        { end: "paused" },
      );
      const { running } = restored.recovered;
      assert.ok(running !== undefined);
      const client = new Client({ host: running.connection.host, user: "postgres", database: "postgres" });
      await client.connect();
      // A superuser of a server that runs as the live one's user.
      await assert.rejects(client.query(`copy (select 1) to '${live}/reached'`), /Read-only file system/);
      await assert.rejects(client.query(`copy (select 1) to program 'touch ${live}/reached'`), /program/);
      await client.query(`copy (select 1) to '${restored.folder}/own'`);
      await client.end();
      assert.deepEqual(await readdir(live), []);
      await stopCopy(restored.recovered);
    },
  );

  test("R4: planRestore() refuses a tablespace without a folder of its own", async (t) => {
    await assert.rejects(plan(t, scene.archive, { target: { kind: "latest" } }), { code: "restore_refused" });
  });

  test("resolveTarget() refuses moments before the window and in the future, and names the nearest", async (t) => {
    const at = (text: string) => ({ target: { kind: "time", time: parseTimestamp(text) } }) as const;
    await assert.rejects(plan(t, scene.archive, at("2020-01-01T00:00:00Z")), {
      code: "target_unreachable",
      details: { earliest: first.finishedAt.replace("Z", "000Z"), earliest_lsn: first.stopLsn },
    });
    await assert.rejects(plan(t, scene.archive, at("2090-01-01T00:00:00Z")), { code: "target_unreachable" });
    const early = { target: { kind: "lsn", lsn: parseLsn(first.startLsn) } } as const;
    await assert.rejects(plan(t, scene.archive, early), { code: "target_unreachable" });
    const late = { target: { kind: "lsn", lsn: parseLsn("FF/0") } } as const;
    await assert.rejects(plan(t, scene.archive, late), { code: "target_unreachable" });
  });

  test("resolveTarget() takes a time after the last commit as the latest moment, and says so", async (t) => {
    const now = new Date(Date.now() + 60_000);
    const time = parseTimestamp(new Date(Date.now() + 30_000).toISOString());
    const { plan: planned } = await plan(t, scene.archive, {
      target: { kind: "time", time },
      tablespaces: await spaces(t),
      now,
    });
    assert.equal(planned.target.lastCommit?.time, scene.entries.at(-1)?.time);
    assert.match(planned.notes.join(), /latest moment/);
  });

  test(
    "prepareRestore() refuses a disk that is too small, before anything is made on it",
    {
      skip: !canMountDisks && "only root can mount a small file system",
    },
    async (t) => {
      const disk = await SmallDisk.mount(t, { sizeMb: 8 });
      const folder = join(disk.folder, "data");
      const ask = { target: { kind: "latest" }, tablespaces: await spaces(t), folder } as const;
      await assert.rejects(restore(t, scene.archive, ask), {
        code: "disk_full",
        message: /it needs \d+ bytes, \d+ are free$/,
      });
      assert.deepEqual(await readdir(disk.folder), []);
    },
  );

  test("executeRestore() refuses a folder that holds anything", async (t) => {
    const folder = await makeTempFolder(t);
    await mkdir(join(folder, "something"));
    const ask = { target: { kind: "latest" }, tablespaces: await spaces(t), folder } as const;
    await assert.rejects(restore(t, scene.archive, ask), { code: "restore_refused" });
  });
});
