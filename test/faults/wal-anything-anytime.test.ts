import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFullRun } from "../harness/full.ts";
import { GatedStore } from "../harness/gated-store.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { type WalScene, compareWithServer, inventoryOf, receiveWal, untilStored } from "../harness/wal-scene.ts";

const MISHAPS = [
  "store fails",
  "store hangs",
  "store works",
  "connection cut",
  "server crashes",
  "server restarts",
  "receiver restarts",
  "segment switched",
  "rows written",
  "rows written",
  "all stored",
] as const;
type Mishap = (typeof MISHAPS)[number];

interface Scene {
  readonly server: PostgresServer;
  readonly gate: GatedStore;
  readonly restartReceiver: () => Promise<WalScene>;
  current: WalScene;
}

async function happen(scene: Scene, mishap: Mishap): Promise<void> {
  const { server, gate } = scene;
  switch (mishap) {
    case "store fails":
      return gate.set("failing");
    case "store hangs":
      return gate.set("hanging");
    case "store works":
      return gate.set("open");
    case "connection cut":
      await server.query("select pg_terminate_backend(active_pid) from pg_replication_slots where active");
      return;
    case "server crashes":
      await server.kill();
      return server.start();
    case "server restarts":
      await server.stop("fast");
      return server.start();
    case "receiver restarts":
      // A store that hangs would make its end wait for the deadline of a stop.
      gate.set("open");
      await scene.current.receiver.close();
      scene.current = await scene.restartReceiver();
      return;
    case "segment switched":
      await server.query("select pg_switch_wal()");
      return;
    case "rows written":
      await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 1500) n");
      return;
    case "all stored":
      gate.set("open");
      await untilStored(scene.current.receiver, server);
  }
}

test("whatever happens in whatever order, the WAL is stored without a hole once all is well again", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  let gate: GatedStore | undefined;
  const archive = await makePhysicalArchive(t, (store) => (gate = new GatedStore(store)));
  assert.ok(gate !== undefined);
  const restartReceiver = (): Promise<WalScene> =>
    receiveWal(t, server, archive, { spoolLimitBytes: 3 * 1024 * 1024, pieceIntervalMs: 50 });
  const scene: Scene = { server, gate, restartReceiver, current: await restartReceiver() };
  const lists = fc.array(fc.constantFrom(...MISHAPS), { minLength: 5, maxLength: 12 });
  await untilStored(scene.current.receiver, server);
  await fc.assert(
    fc.asyncProperty(lists, async (mishaps) => {
      for (const mishap of mishaps) await happen(scene, mishap);
      await happen(scene, "all stored");
    }),
    // Each run goes on where the one before left off; so a failure can't be shrunk.
    { numRuns: isFullRun ? 60 : 4, endOnFailure: true },
  );
  await scene.current.receiver.close();
  const inventory = await inventoryOf(archive, scene.current.receiver.status.lineage);
  assert.deepEqual(inventory.gaps, []);
  const starts = [...inventory.segments.values()].map(({ start }) => start).toSorted((a, b) => (a < b ? -1 : 1));
  for (const [index, start] of starts.entries())
    assert.equal(start, (starts[0] ?? 0n) + BigInt(index) * BigInt(inventory.segmentSize));
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
});
