import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { readLineage } from "../../src/repository/lineages.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import type { CleanUp } from "../harness/temp-folder.ts";
import { compareWithServer, inventoryOf, receiveWal, until, untilStored } from "../harness/wal-scene.ts";

async function insert(server: PostgresServer, rows: number): Promise<void> {
  await server.query("insert into item (body) select repeat(md5(random()::text), 10) from generate_series(1, $1) n", [
    rows,
  ]);
}

async function startServer(cleanUp: CleanUp): Promise<PostgresServer> {
  const server = await startPostgresServer(cleanUp, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  await server.query("select pg_create_physical_replication_slot('tidemark', true)");
  return server;
}

async function assertNewLineage(
  t: TestContext,
  archive: PhysicalArchive,
  server: PostgresServer,
  reason: string,
): Promise<void> {
  const { receiver, incidents } = await receiveWal(t, server, archive);
  await until(receiver, () => incidents.some(({ kind }) => kind === "lineage begun"));
  await insert(server, 100);
  await untilStored(receiver, server);
  await receiver.close();
  const { lineage } = receiver.status;
  const begun = incidents.flatMap((incident) => (incident.kind === "lineage begun" ? [incident] : []));
  assert.deepEqual(
    begun.map((incident) => [incident.lineage, incident.reason]),
    [[lineage, reason]],
  );
  assert.equal(lineage === undefined ? undefined : (await readLineage(archive, lineage)).reason, reason);
  const inventory = await inventoryOf(archive, lineage);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
}

/** Stored: what the server wrote after the snapshot; running: the server put back to it. */
async function putBackBehindArchive(t: TestContext): Promise<{ archive: PhysicalArchive; server: PostgresServer }> {
  const server = await startServer(t);
  const archive = await makePhysicalArchive(t);
  await server.stop();
  const snapshot = await server.takeSnapshot();
  await server.start();
  const { receiver } = await receiveWal(t, server, archive);
  await insert(server, 2000);
  await untilStored(receiver, server);
  await receiver.close();
  await server.stop();
  await server.putBack(snapshot);
  await server.start();
  return { archive, server };
}

test("R2: a server put back from a snapshot begins another lineage, and nothing stored is overwritten", async (t) => {
  const { archive, server } = await putBackBehindArchive(t);
  await assertNewLineage(t, archive, server, "went back");
});

test("R2: a server put back from a snapshot that has overtaken the stored end is found by its bytes", async (t) => {
  const { archive, server } = await putBackBehindArchive(t);
  await insert(server, 20_000);
  await assertNewLineage(t, archive, server, "other bytes");
});

test("R2: another cluster under the same name begins another lineage", async (t) => {
  const first = await startServer(t);
  const archive = await makePhysicalArchive(t);
  const { receiver } = await receiveWal(t, first, archive);
  await untilStored(receiver, first);
  await receiver.close();
  const other = await startServer(t);
  await assertNewLineage(t, archive, other, "other system");
});
