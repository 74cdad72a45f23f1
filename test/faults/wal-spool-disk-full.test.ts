import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { GatedStore } from "../harness/gated-store.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { compareWithServer, eventually, inventoryOf, receiveWal, untilStored } from "../harness/wal-scene.ts";

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;

test(
  "a full disk below the spool is said, and nothing is lost",
  { skip: !isRoot && "only root can mount a small file system" },
  async (t) => {
    const disk = join(await makeTempFolder(t), "disk");
    await mkdir(disk);
    await run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]);
    try {
      await fillSpool(t, disk);
    } finally {
      // Before the clean-ups, which remove the folder.
      await run("umount", ["--lazy", disk]);
    }
  },
);

async function fillSpool(t: TestContext, disk: string): Promise<void> {
  const server = await startPostgresServer(t, { segmentSizeMb: 1, settings: { wal_keep_size: "1GB" } });
  await server.query("create table item (id bigint generated always as identity, body text)");
  let gate: GatedStore | undefined;
  const archive = await makePhysicalArchive(t, (store) => (gate = new GatedStore(store)));
  const { receiver, incidents } = await receiveWal(t, server, archive, { spoolFolder: join(disk, "spool") });
  await untilStored(receiver, server);
  gate?.set("hanging");
  await server.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 20000) n");
  await eventually("the full disk is said", () => receiver.status.lastError?.code === "disk_full");
  assert.deepEqual(
    incidents.map((incident) => incident.kind === "connection failing" && incident.error.code),
    ["disk_full"],
  );
  gate?.set("open");
  await untilStored(receiver, server);
  await receiver.close();
  const inventory = await inventoryOf(archive, receiver.status.lineage);
  assert.deepEqual(inventory.gaps, []);
  for (const [name, digest] of await compareWithServer(archive, inventory, server))
    assert.equal(digest.stored, digest.server, name);
}
