import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLsn, parseLsn, toTimelineId } from "../../src/core/lsn.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import type { CleanUp } from "../harness/temp-folder.ts";
import {
  SLOT,
  compareWithServer,
  eventually,
  inventoryOf,
  receiveWal,
  until,
  untilStored,
} from "../harness/wal-scene.ts";

async function startServer(cleanUp: CleanUp, segmentSizeMb = 1): Promise<PostgresServer> {
  const server = await startPostgresServer(cleanUp, { segmentSizeMb, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  return server;
}

async function insert(server: PostgresServer, rows: number): Promise<void> {
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, $1) n", [rows]);
}

for (const segmentSizeMb of [1, 16, 64])
  test(`R11: WalReceiver stores what the server has, byte by byte, with segments of ${segmentSizeMb} MB`, async (t) => {
    const server = await startServer(t, segmentSizeMb);
    const archive = await makePhysicalArchive(t);
    const { receiver, incidents } = await receiveWal(t, server, archive);
    await until(receiver, ({ state }) => state === "streaming");
    for (let round = 0; round < 8; round++) {
      await insert(server, 1000);
      await untilStored(receiver, server);
    }
    await server.query("select pg_switch_wal()");
    await insert(server, 10);
    const end = await untilStored(receiver, server);
    await receiver.close();
    const inventory = await inventoryOf(archive, receiver.status.lineage);
    assert.ok(inventory.end !== undefined && inventory.end.lsn >= end);
    const digests = await compareWithServer(archive, inventory, server);
    assert.ok(digests.size >= 2);
    for (const [name, digest] of digests) assert.equal(digest.stored, digest.server, name);
    const whole = [...inventory.segments.values()].filter(
      (segment) => segment.contiguousBytes === inventory.segmentSize,
    );
    assert.ok(whole.length >= 1);
    for (const { pieces } of whole) assert.equal(pieces.length, 1);
    assert.deepEqual(incidents, []);
  });

test("WalReceiver stores a commit within its interval and tells it as the newest moment", async (t) => {
  const server = await startServer(t);
  const archive = await makePhysicalArchive(t);
  const { receiver } = await receiveWal(t, server, archive, { pieceIntervalMs: 1000 });
  await until(receiver, ({ state }) => state === "streaming");
  const before = BigInt(await server.value("select (extract(epoch from clock_timestamp()) * 1000000)::bigint"));
  await insert(server, 1);
  const startedAt = performance.now();
  await until(receiver, ({ newest }) => newest !== undefined && newest.time >= before);
  // Two seconds are promised; the machine of a test run may be busy with other tests.
  assert.ok(performance.now() - startedAt < 10_000);
});

test("WalReceiver.noteServerTime() moves an idle database's newest moment, once its WAL is stored", async (t) => {
  const server = await startServer(t);
  const { receiver } = await receiveWal(t, server, await makePhysicalArchive(t));
  await untilStored(receiver, server);
  const [row] = await server.query<{ now: string; lsn: string }>(
    "with clock as materialized (select clock_timestamp() as now) select (extract(epoch from now) * 1000000)::bigint::text as now, pg_current_wal_flush_lsn() as lsn from clock",
  );
  assert.ok(row !== undefined);
  const moment = { time: BigInt(row.now) as never, lsn: parseLsn(row.lsn) };
  receiver.noteServerTime(moment);
  await until(receiver, ({ newest }) => newest?.time === moment.time);
});

test("WalReceiver moves the slot only to what is stored", async (t) => {
  const server = await startServer(t);
  const archive = await makePhysicalArchive(t);
  const { receiver } = await receiveWal(t, server, archive);
  const end = await untilStored(receiver, server);
  await eventually("the slot follows", async () => {
    const restart = await server.value("select restart_lsn from pg_replication_slots where slot_name = $1", [SLOT]);
    const { durable } = receiver.status;
    assert.ok(durable !== undefined && parseLsn(restart) <= durable.lsn);
    return parseLsn(restart) >= end;
  });
});

test("R2: a WalReceiver that starts again goes on where the stored WAL ends, and compares what comes twice", async (t) => {
  const server = await startServer(t);
  const archive = await makePhysicalArchive(t);
  const first = await receiveWal(t, server, archive);
  await untilStored(first.receiver, server);
  await insert(server, 500);
  await first.receiver.close();
  const { lineage } = first.receiver.status;
  await insert(server, 5000);
  const second = await receiveWal(t, server, archive);
  await untilStored(second.receiver, server);
  await second.receiver.close();
  assert.equal(second.receiver.status.lineage, lineage);
  assert.deepEqual(second.incidents, []);
  const inventory = await inventoryOf(archive, lineage);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
});

test("WalReceiver goes on by itself when its connection is cut and when the server crashes", async (t) => {
  const server = await startServer(t);
  const archive = await makePhysicalArchive(t);
  const { receiver, incidents } = await receiveWal(t, server, archive);
  await untilStored(receiver, server);
  await server.query("select pg_terminate_backend(active_pid) from pg_replication_slots where active");
  await insert(server, 100);
  await untilStored(receiver, server);
  await server.kill();
  await until(receiver, ({ state }) => state !== "streaming");
  await server.start();
  await insert(server, 3000);
  await untilStored(receiver, server);
  assert.ok(incidents.every(({ kind }) => kind === "connection failing"));
  await receiver.close();
  const inventory = await inventoryOf(archive, receiver.status.lineage);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
});

test("R12: WalReceiver refuses a server that would take it for a synchronous standby", async (t) => {
  const server = await startPostgresServer(t, {
    settings: { synchronous_standby_names: "*", synchronous_commit: "local" },
  });
  const { receiver, incidents } = await receiveWal(t, server, await makePhysicalArchive(t));
  await until(receiver, ({ lastError }) => lastError?.code === "server_denied");
  assert.equal(incidents[0]?.kind, "connection failing");
  assert.equal(await server.value("select count(*) from pg_replication_slots"), "0");
});

test("R3: WalReceiver stores a new timeline's history before its first byte, and its first segment from the start", async (t) => {
  const server = await startServer(t);
  const archive = await makePhysicalArchive(t);
  const { receiver, incidents } = await receiveWal(t, server, archive);
  await insert(server, 100);
  await untilStored(receiver, server);
  await server.stop();
  await server.promoteToNewTimeline();
  await insert(server, 100);
  await until(receiver, ({ durable }) => durable?.timeline === toTimelineId(2));
  await untilStored(receiver, server);
  await receiver.close();
  const inventory = await inventoryOf(archive, receiver.status.lineage);
  assert.deepEqual(
    inventory.histories.map(({ timeline }) => timeline),
    [2],
  );
  const onSecond = [...inventory.segments].filter(([name]) => name.startsWith("00000002"));
  assert.ok(onSecond.length >= 1);
  for (const [, { pieces }] of onSecond) assert.ok(pieces.some(({ from }) => from === 0));
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    if (name.startsWith("00000002")) assert.equal(digest.stored, digest.server, name);
  assert.ok(incidents.every(({ kind }) => kind === "connection failing"));
  assert.ok(formatLsn(inventory.end?.lsn ?? parseLsn("0/0")) !== "0/0");
});
