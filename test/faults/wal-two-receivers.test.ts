import assert from "node:assert/strict";
import { test } from "node:test";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { SLOT, compareWithServer, inventoryOf, receiveWal, until, untilStored } from "../harness/wal-scene.ts";

test("a second receiver of a slot waits, dials ever more slowly, and takes over when the first one ends", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  const archive = await makePhysicalArchive(t);
  const first = await receiveWal(t, server, archive);
  await untilStored(first.receiver, server);
  const second = await receiveWal(t, server, archive);
  await until(second.receiver, ({ failures }) => failures >= 3);
  assert.ok(second.receiver.status.lastError?.details?.["sqlstate"] === "55006");
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 3000) n");
  await untilStored(first.receiver, server);
  assert.equal(second.receiver.status.durable, undefined);
  await first.receiver.close();
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 3000) n");
  await untilStored(second.receiver, server);
  await until(second.receiver, ({ failures, lastError }) => failures === 0 && lastError === undefined);
  await second.receiver.close();
  assert.equal(second.receiver.status.lineage, first.receiver.status.lineage);
  const inventory = await inventoryOf(archive, second.receiver.status.lineage);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
  assert.equal(await server.value("select active from pg_replication_slots where slot_name = $1", [SLOT]), "false");
});
