import assert from "node:assert/strict";
import { test } from "node:test";
import { advanceLsn, parseLsn, segmentName, toTimelineId, toWalSegmentSize } from "../../src/core/lsn.ts";
import { storedUntil } from "../../src/repository/wal-inventory.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { SLOT, eventually, inventoryOf, receiveWal, until, untilStored } from "../harness/wal-scene.ts";

test("R2: a lost slot is made anew, its gap is recorded and told, and streaming goes on behind it", async (t) => {
  const server = await startPostgresServer(t, {
    segmentSizeMb: 1,
    settings: { max_slot_wal_keep_size: "1MB", max_wal_size: "4MB", min_wal_size: "2MB" },
  });
  await server.query("create table item (id bigint generated always as identity, body text)");
  const archive = await makePhysicalArchive(t);
  const first = await receiveWal(t, server, archive);
  const storedEnd = await untilStored(first.receiver, server);
  await first.receiver.close();
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 60000) n");
  await server.query("checkpoint");
  assert.equal(await server.value("select wal_status from pg_replication_slots where slot_name = $1", [SLOT]), "lost");
  const second = await receiveWal(t, server, archive);
  await until(second.receiver, () => second.incidents.some(({ kind }) => kind === "gap"));
  await server.query("insert into item (body) values ('after the gap')");
  const end = await untilStored(second.receiver, server);
  await second.receiver.close();
  const inventory = await inventoryOf(archive, second.receiver.status.lineage);
  assert.equal(second.receiver.status.lineage, first.receiver.status.lineage);
  const gap = inventory.gaps[0];
  assert.ok(gap !== undefined && inventory.gaps.length === 1);
  assert.ok(gap.from >= storedEnd && gap.to > gap.from);
  assert.ok(storedUntil(inventory, gap.timeline, gap.to) >= end);
  assert.ok(storedUntil(inventory, gap.timeline, storedEnd) < gap.to);
  // A third receiver goes on behind the gap without another.
  const third = await receiveWal(t, server, archive);
  await untilStored(third.receiver, server);
  await third.receiver.close();
  assert.deepEqual(third.incidents, []);
});

test("R2: a slot that somebody dropped is made anew without a gap while the server still has the WAL", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  const archive = await makePhysicalArchive(t);
  const first = await receiveWal(t, server, archive);
  await untilStored(first.receiver, server);
  await first.receiver.close();
  await server.query("select pg_drop_replication_slot($1)", [SLOT]);
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 20000) n");
  const second = await receiveWal(t, server, archive);
  const end = await untilStored(second.receiver, server);
  await second.receiver.close();
  assert.deepEqual(second.incidents, []);
  const inventory = await inventoryOf(archive, second.receiver.status.lineage);
  assert.deepEqual(inventory.gaps, []);
  const first0 = [...inventory.segments.values()].map(({ start }) => start).toSorted((a, b) => (a < b ? -1 : 1))[0];
  assert.ok(first0 !== undefined && inventory.end !== undefined);
  assert.ok(storedUntil(inventory, inventory.end.timeline, first0) >= end);
});

test("R2: a stored end at a segment's end goes on there when the server has removed the segment before it", async (t) => {
  const server = await startPostgresServer(t, {
    segmentSizeMb: 1,
    settings: { max_wal_size: "2MB", min_wal_size: "2MB" },
  });
  await server.query("create table item (id bigint generated always as identity, body text)");
  const archive = await makePhysicalArchive(t);
  const first = await receiveWal(t, server, archive);
  await untilStored(first.receiver, server);
  await server.query("select pg_switch_wal()");
  const end = await untilStored(first.receiver, server);
  assert.equal(end % BigInt(1024 * 1024), 0n);
  await eventually("the slot follows", async () => {
    const restart = await server.value("select restart_lsn from pg_replication_slots where slot_name = $1", [SLOT]);
    return parseLsn(restart) >= end;
  });
  await first.receiver.close();
  const before = segmentName(toTimelineId(1), advanceLsn(end, -1), toWalSegmentSize(1024 * 1024));
  await eventually("the server removes the segment before", async () => {
    await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 3000) n");
    await server.query("checkpoint");
    return (await server.value("select count(*) from pg_ls_waldir() where name = $1", [before])) === "0";
  });
  const second = await receiveWal(t, server, archive);
  const newEnd = await untilStored(second.receiver, server);
  await second.receiver.close();
  assert.deepEqual(second.incidents, []);
  const inventory = await inventoryOf(archive, second.receiver.status.lineage);
  assert.ok(storedUntil(inventory, toTimelineId(1), advanceLsn(end, -1)) >= newEnd);
});
