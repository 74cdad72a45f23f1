import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Client } from "pg";
import { type Lsn, parseLsn } from "../../src/core/lsn.ts";
import { WalRecordReader } from "../../src/postgres/wal/record-reader.ts";
import { readWalFact } from "../../src/postgres/wal/record.ts";
import { listLineages } from "../../src/repository/lineages.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import type { WalInventory } from "../../src/repository/wal-inventory.ts";
import { readSegment } from "../../src/repository/wal-segment.ts";
import { openArchiveIn } from "../harness/physical-archive.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { SLOT, compareWithServer, eventually, inventoryOf } from "../harness/wal-scene.ts";
import type { ReceiverProcess } from "./wal-receiver.fixture.ts";

const FIXTURE = fileURLToPath(new URL("wal-receiver.fixture.ts", import.meta.url));
const KILLS = 6;
const CLIENTS = 3;

/** A commit that the server acknowledged to its client. */
interface Acknowledged {
  readonly xid: number;
  /** A flush position that was read after the commit: the commit lies before it. */
  readonly flushed: Lsn;
}

function startReceiver(t: TestContext, place: ReceiverProcess): ChildProcess {
  const child = spawn(process.execPath, [FIXTURE, JSON.stringify(place)], { stdio: ["ignore", "inherit", "inherit"] });
  t.after(() => void child.kill("SIGKILL"));
  return child;
}

/** Clients that commit, and keep outside of the server what was acknowledged to them, until `stop` is set. */
async function commitUntil(server: PostgresServer, stop: { now: boolean }, ledger: Acknowledged[]): Promise<void> {
  const client = new Client(server.client());
  await client.connect();
  while (!stop.now) {
    const { rows } = await client.query<{ xid: string }>(
      "insert into ledger (body) values (repeat('x', (random() * 2000)::int)) returning pg_current_xact_id()::text as xid",
    );
    const flush = await client.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
    ledger.push({ xid: Number(rows[0]?.xid), flushed: parseLsn(flush.rows[0]?.lsn ?? "0/0") });
  }
  await client.end();
}

async function restartLsn(server: PostgresServer): Promise<Lsn> {
  return parseLsn(await server.value("select restart_lsn from pg_replication_slots where slot_name = $1", [SLOT]));
}

async function committedXids(archive: PhysicalArchive, inventory: WalInventory): Promise<Set<number>> {
  const xids = new Set<number>();
  const segments = [...inventory.segments.values()].toSorted((a, b) => (a.start < b.start ? -1 : 1));
  const [first] = segments;
  assert.ok(first !== undefined);
  const reader = new WalRecordReader(first.start, inventory.segmentSize, (record) => {
    const fact = readWalFact(record);
    if (fact?.kind === "transaction end" && fact.outcome === "commit" && fact.xid !== undefined) xids.add(fact.xid);
  });
  for (const { pieces } of segments)
    for await (const chunk of readSegment(archive, pieces)) reader.push(Buffer.from(chunk));
  assert.equal(reader.end, undefined);
  return xids;
}

test("kill -9 of the receiver, again and again under load: every commit that it confirmed is stored", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table ledger (id bigint generated always as identity, body text)");
  const folder = await makeTempFolder(t);
  const archive = await openArchiveIn(join(folder, "repository"));
  const place: ReceiverProcess = {
    socketFolder: server.folder,
    repositoryFolder: join(folder, "repository"),
    spoolFolder: join(folder, "spool"),
    recipient: archive.recipients[0] ?? "",
    identity: archive.identity,
  };
  const stop = { now: false };
  const ledger: Acknowledged[] = [];
  const clients = Promise.all(Array.from({ length: CLIENTS }, () => commitUntil(server, stop, ledger)));
  try {
    let confirmed = parseLsn("0/0");
    for (let kill = 0; kill < KILLS; kill++) {
      const child = startReceiver(t, place);
      const goal = confirmed + BigInt(150_000 * (kill + 1));
      await eventually("the receiver confirms more", async () => {
        const slots = await server.value("select count(*) from pg_replication_slots where restart_lsn is not null");
        return slots === "1" && (await restartLsn(server)) > goal;
      });
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
      confirmed = await restartLsn(server);
    }
    stop.now = true;
    await clients;
    const inventory = await inventoryOf(archive, (await listLineages(archive)).at(-1));
    assert.ok(inventory.end !== undefined && inventory.end.lsn >= confirmed);
    const xids = await committedXids(archive, inventory);
    const owed = ledger.filter(({ flushed }) => flushed <= confirmed);
    assert.ok(owed.length > 100);
    for (const { xid } of owed) assert.ok(xids.has(xid), `transaction ${xid}`);
    for (const [name, digest] of await compareWithServer(archive, inventory, server))
      assert.equal(digest.stored, digest.server, name);
    assert.equal((await listLineages(archive)).length, 1);
    assert.deepEqual(inventory.gaps, []);
  } finally {
    stop.now = true;
    await clients.catch(() => undefined);
  }
});
