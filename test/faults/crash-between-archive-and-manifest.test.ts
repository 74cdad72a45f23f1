import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../src/core/clock.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import {
  commitArchive,
  DATABASE_ID,
  openTestRepository,
  randomDump,
  storeArchive,
  type TestRepository,
} from "../../src/repository/logical-backup.fixture.ts";
import { openLogicalArchive } from "../../src/repository/logical-archive.ts";
import { readLogicalManifest } from "../../src/repository/logical-manifest.ts";
import { readAll } from "../../src/stream/byte-stream.ts";
import { listLogicalBackups, sweepLogicalOrphans } from "../../src/repository/logical-backups.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { openMemoryStore } from "../../src/storage/memory-store.ts";
import { code } from "../contract/store.ts";
import { withFaults, type Faults } from "../harness/fault-store.ts";
import { makeCapturePlace } from "../harness/logical-capture.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const DEADLINE_MS = 30_000;
const POLL_MS = 20;
const MIB = 1024 * 1024;
const server = await startPostgresServer({ after });

async function listed(place: Pick<TestRepository, "repository" | "identity">): Promise<string[]> {
  const entries = await Array.fromAsync(listLogicalBackups(place.repository, DATABASE_ID, place.identity));
  return entries.map((entry) => entry.backupId);
}

test("a backup whose process died before its manifest is invisible, and its archive is swept after the grace period", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const dead = await storeArchive(place, randomDump(MIB));
  assert.deepEqual(await listed(place), []);
  const swept = await sweepLogicalOrphans(place.repository, {
    databaseId: DATABASE_ID,
    identity: place.identity,
    before: new Date(Date.now() + 1000),
  });
  assert.deepEqual(swept, [dead.archive.key]);
});

test("captureLogicalBackup() that can't write its manifest leaves no backup, and no archive", async (context) => {
  const faults: Faults = {
    put: { key: /manifests/, afterBytes: 0, error: new TidemarkError("storage_unavailable", "away") },
  };
  const place = await makeCapturePlace(context, server, (store) => withFaults(store, faults));
  await assert.rejects(place.capture(), code("storage_unavailable"));
  assert.deepEqual(await place.keys(), []);
  assert.deepEqual(await listed(place), []);
});

test("captureLogicalBackup() reports the first failure when its archive can't be removed either, and the sweep takes it", async (context) => {
  const faults: Faults = {
    put: { key: /manifests/, afterBytes: 0, error: new TidemarkError("disk_full", "full") },
    delete: { key: /./, error: new TidemarkError("storage_unavailable", "away") },
  };
  const place = await makeCapturePlace(context, server, (store) => withFaults(store, faults));
  await assert.rejects(place.capture(), code("disk_full"));
  const left = await place.keys();
  assert.equal(left.length, 1);
  assert.deepEqual(await listed(place), []);
  faults.delete = undefined;
  const { repository, identity } = place;
  const before = new Date(Date.now() + 1000);
  assert.deepEqual(await sweepLogicalOrphans(repository, { databaseId: DATABASE_ID, identity, before }), left);
});

test("captureLogicalBackup() keeps its archive when the manifest was written though the store said otherwise", async (context) => {
  const faults: Faults = { lose: { key: /manifests/, error: new TidemarkError("storage_unavailable", "no answer") } };
  const place = await makeCapturePlace(context, server, (store) => withFaults(store, faults));
  const backupId = "1".repeat(24);
  await assert.rejects(place.capture({ backupId }), code("storage_unavailable"));
  assert.deepEqual(await listed(place), [backupId]);
  const manifest = await readLogicalManifest(place.repository, { databaseId: DATABASE_ID, backupId }, place.identity);
  assert.ok(manifest !== undefined);
  const reader = await openLogicalArchive(place.repository, manifest, place.identity);
  assert.equal((await readAll(reader.read(), 64 * MIB)).length, manifest.archive.sizeBytes);
  await assert.rejects(place.capture({ backupId }), code("object_exists"));
});

test("kill -9 of a process that is storing an archive leaves an upload that nobody sees and that is swept", async (context) => {
  const root = join(await makeTempFolder(context), "repository");
  const script = join(import.meta.dirname, "endless-archive.fixture.ts");
  const child = spawn(process.execPath, [script, root], { stdio: ["ignore", "ignore", "inherit"] });
  context.after(async () => {
    child.kill("SIGKILL");
  });
  await untilUploadHas(MIB, join(root, ".uploads"));
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;

  const store = await openFolderStore(root);
  assert.deepEqual(await Array.fromAsync(store.list("databases/")), []);
  assert.equal(await store.sweepUploads(new Date(Date.now() + 1000)), 1);
  const place = await openTestRepository(store);
  await commitArchive(place, await storeArchive(place, randomDump(1000)));
});

async function untilUploadHas(sizeBytes: number, folder: string): Promise<void> {
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await delay(POLL_MS)) {
    const [upload] = await readdir(folder).catch(() => []);
    const found = upload === undefined ? undefined : await stat(join(folder, upload)).catch(() => undefined);
    if (found !== undefined && found.size > sizeBytes) return;
  }
  throw new Error("The archive did not grow");
}
