import assert from "node:assert/strict";
import { test } from "node:test";
import { GatedStore } from "../harness/gated-store.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { eventually, receiveWal, untilStored } from "../harness/wal-scene.ts";

test("R9: status goes on by its timer while the store hangs, so the server doesn't cut the stream", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_sender_timeout: "2s" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  let gate: GatedStore | undefined;
  const archive = await makePhysicalArchive(t, (store) => (gate = new GatedStore(store)));
  const { receiver, incidents } = await receiveWal(t, server, archive);
  await untilStored(receiver, server);
  const sender = async (): Promise<{ pid: number; age: number } | undefined> =>
    (
      await server.query<{ pid: number; age: number }>(
        "select pid, extract(epoch from reply_time - backend_start)::float as age from pg_stat_replication",
      )
    )[0];
  const before = await sender();
  gate?.set("hanging");
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 3000) n");
  // Three times the server's patience.
  await eventually("replies go on", async () => ((await sender())?.age ?? 0) > (before?.age ?? 0) + 6);
  assert.equal((await sender())?.pid, before?.pid);
  gate?.set("open");
  await untilStored(receiver, server);
  assert.deepEqual(incidents, []);
});
