import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Client } from "pg";
import { isRecord, startPlatform, waitFor } from "../harness/platform.ts";

const platform = await startPlatform({ after });
const database = await platform.provision("shop");

async function readWindow(): Promise<Record<string, unknown>> {
  const { body } = await platform.api("GET", `/api/databases/${database.addonId}/pitr/recovery_window`);
  return isRecord(body) && isRecord(body["recovery_window"]) ? body["recovery_window"] : {};
}

async function asSuperuser<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(await platform.superuser(database.addonId));
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

test("a frozen worker is replaced; the hole that its lost slot leaves is told, and a base backup at once closes it", async () => {
  await waitFor(async () => (await readWindow())["latest_recoverable_at"] !== null, "a recovery window");
  const lastBefore = (await readWindow())["latest_recoverable_at"];
  // Frozen, it keeps its connection: the server can't end the sender, and its checkpoint waits for it.
  process.kill(await platform.workerPid(), "SIGSTOP");
  await asSuperuser(async (client) => {
    await client.query("alter system set max_slot_wal_keep_size = '1MB'");
    await client.query("alter system set max_wal_size = '32MB'");
    await client.query("select pg_reload_conf()");
    await client.query(
      "create table filler as select repeat(md5(n::text), 30) as text from generate_series(1, 100000) as n",
    );
    await client.query("checkpoint");
    await client.query("alter system reset all");
    await client.query("select pg_reload_conf()");
  });

  await waitFor(async () => holesOf(await readWindow()).length === 1, "a hole", 120_000);
  await waitFor(async () => (await readWindow())["base_backups"] === 2, "a base backup after the hole", 120_000);
  const [hole] = holesOf(await readWindow());
  assert.ok(String(hole?.["from"]) >= String(lastBefore), "the hole begins where the log ended");
  assert.ok(String(hole?.["to"]) > String(hole?.["from"]), "the new base backup ends the hole");
  await waitFor(
    async () => String((await readWindow())["latest_recoverable_at"]) > String(hole?.["to"]),
    "a window that goes on",
  );
  await asSuperuser(async (client) => {
    const { rows } = await client.query<{ status: string }>("select wal_status as status from pg_replication_slots");
    assert.deepEqual(rows, [{ status: "reserved" }]);
  });
});

function holesOf(window: Record<string, unknown>): Record<string, unknown>[] {
  const holes: unknown = window["holes"];
  return Array.isArray(holes) ? holes.filter(isRecord) : [];
}
