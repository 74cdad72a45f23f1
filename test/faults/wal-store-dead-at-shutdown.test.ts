import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLsn } from "../../src/core/lsn.ts";
import { GatedStore } from "../harness/gated-store.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import {
  SLOT,
  compareWithServer,
  eventually,
  inventoryOf,
  receiveWal,
  until,
  untilStored,
} from "../harness/wal-scene.ts";

/** It takes a tenth of a second on a quiet machine; ten on a busy one. Without the rule it takes until the receiver dies. */
const STOP_MAX_MS = 10_000;

for (const state of ["failing", "hanging"] as const)
  test(`R1: a ${state} store keeps no server from stopping, and nothing is lost`, async (t) => {
    const server = await startPostgresServer(t, { segmentSizeMb: 1 });
    await server.query("create table item (id bigint generated always as identity, body text)");
    let gate: GatedStore | undefined;
    const archive = await makePhysicalArchive(t, (store) => (gate = new GatedStore(store)));
    const { receiver } = await receiveWal(t, server, archive);
    const stored = await untilStored(receiver, server);
    gate?.set(state);
    await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 20000) n");
    const flushed = parseLsn(await server.value("select pg_current_wal_flush_lsn()"));
    await eventually("all is received", () => (receiver.status.received?.lsn ?? 0n) >= flushed);
    const startedAt = performance.now();
    await server.stop("fast");
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs < STOP_MAX_MS, `${tookMs} ms`);
    await server.start();
    const restart = parseLsn(
      await server.value("select restart_lsn from pg_replication_slots where slot_name = $1", [SLOT]),
    );
    const { durable } = receiver.status;
    assert.ok(durable !== undefined && restart <= durable.lsn && restart <= flushed && stored <= flushed);
    gate?.set("open");
    await untilStored(receiver, server);
    await receiver.close();
    const inventory = await inventoryOf(archive, receiver.status.lineage);
    for (const [name, digest] of await compareWithServer(archive, inventory, server))
      assert.equal(digest.stored, digest.server, name);
  });

test("R1: a full spool lets go of the connection, so that the server can stop, and the stream goes on later", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  let gate: GatedStore | undefined;
  const archive = await makePhysicalArchive(t, (store) => (gate = new GatedStore(store)));
  const { receiver } = await receiveWal(t, server, archive, { spoolLimitBytes: 4 * 1024 * 1024 });
  await untilStored(receiver, server);
  gate?.set("hanging");
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 60000) n");
  await until(receiver, ({ state }) => state === "backing off");
  // Bounded: the limit, and the few messages that were under way when it was reached.
  assert.ok(receiver.status.spooledBytes < 6 * 1024 * 1024);
  const startedAt = performance.now();
  await server.stop("fast");
  assert.ok(performance.now() - startedAt < STOP_MAX_MS);
  await server.start();
  gate?.set("open");
  await untilStored(receiver, server);
  await eventually("the slot follows", async () => {
    const restart = await server.value("select restart_lsn from pg_replication_slots where slot_name = $1", [SLOT]);
    return parseLsn(restart) >= (receiver.status.durable?.lsn ?? 0n);
  });
  await receiver.close();
  const inventory = await inventoryOf(archive, receiver.status.lineage);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
});
