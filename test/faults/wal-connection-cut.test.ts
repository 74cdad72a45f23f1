import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { type Server, type Socket, connect, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { compareWithServer, eventually, inventoryOf, receiveWal, untilStored } from "../harness/wal-scene.ts";

/** Between the receiver and the server: cuts each connection, without a word, after so many bytes from the server. */
class CuttingProxy {
  readonly folder: string;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  cuts = 0;
  /** Undefined lets everything pass. */
  nextCutBytes: (() => number) | undefined;

  constructor(server: PostgresServer) {
    this.folder = join(server.folder, "proxy");
    this.#listener = createServer((client) => this.#accept(client, join(server.folder, ".s.PGSQL.5432")));
  }

  async open(t: TestContext): Promise<void> {
    await mkdir(this.folder);
    this.#listener.listen(join(this.folder, ".s.PGSQL.5432"));
    await once(this.#listener, "listening");
    t.after(() => {
      for (const socket of this.#sockets) socket.destroy();
      this.#listener.close();
    });
  }

  #accept(client: Socket, path: string): void {
    const server = connect(path);
    let left = this.nextCutBytes?.() ?? Number.POSITIVE_INFINITY;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        client.destroy();
        server.destroy();
      });
    }
    client.on("data", (bytes: Buffer) => void server.write(bytes));
    server.on("data", (bytes: Buffer) => {
      if (left <= 0) return;
      client.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left > 0) return;
      this.cuts += 1;
      client.end(() => client.destroy());
    });
  }
}

test("a connection that is cut in mid-message, again and again, loses and doubles nothing", async (t) => {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  const proxy = new CuttingProxy(server);
  await proxy.open(t);
  const archive = await makePhysicalArchive(t);
  const target = { client: server.client({ host: proxy.folder }), applicationName: "tidemark_test" };
  const { receiver, incidents } = await receiveWal(t, server, archive, { target });
  await untilStored(receiver, server);
  let cut = 0;
  // Odd numbers end in the middle of whatever the server sends then: a length, a header, a record.
  proxy.nextCutBytes = () => 40_001 + (((cut += 1) * 77_773) % 900_000);
  await server.query("select pg_terminate_backend(active_pid) from pg_replication_slots where active");
  await eventually("several cuts", async () => {
    await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 2000) n");
    return proxy.cuts >= 8;
  });
  proxy.nextCutBytes = undefined;
  await untilStored(receiver, server);
  await receiver.close();
  assert.ok(incidents.every(({ kind }) => kind === "connection failing"));
  const inventory = await inventoryOf(archive, receiver.status.lineage);
  assert.deepEqual(inventory.gaps, []);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
});
