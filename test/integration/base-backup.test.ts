import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open, readdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { type BaseBackupRequest, captureBaseBackup } from "../../src/capture/base-backup.ts";
import { systemClock } from "../../src/core/clock.ts";
import { newObjectId } from "../../src/core/ids.ts";
import {
  type BaseBackupManifest,
  listBaseBackups,
  readBaseBackup,
  readBaseVolume,
  readServerManifest,
} from "../../src/repository/base-backup-set.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import { baseVolumeKey } from "../../src/repository/physical-layout.ts";
import { extractVolume } from "../harness/extract-volume.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { makeServerFolder, runProgram, serverUser, startPostgresServer } from "../harness/postgres-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const lineage = newObjectId(new Date());
const server = await startPostgresServer({ after });
await makeServerFolder(join(server.folder, "space"));
await server.query(`create tablespace extra location '${join(server.folder, "space")}'`);
await server.query("create table item (id bigint primary key, body text)");
await server.query("create table elsewhere (id bigint primary key, body text) tablespace extra");
await server.query("insert into item select n, md5(n::text) from generate_series(1, 20000) n");
await server.query("insert into elsewhere select n, md5(n::text) from generate_series(1, 5000) n");
const systemId = await server.value("select system_identifier::text from pg_control_system()");

function request(overrides: Partial<BaseBackupRequest> = {}): BaseBackupRequest {
  return {
    backupId: newObjectId(new Date()),
    lineage,
    systemId,
    label: "tidemark test",
    checkpoint: "fast",
    target: { client: server.client(), applicationName: "tidemark_test" },
    clock: systemClock,
    waitForWal: () => Promise.resolve(),
    ...overrides,
  };
}

/** Everything as a restore lays it out, tablespaces where PostgreSQL's own tools look for them. */
async function extract(cleanUp: CleanUp, archive: PhysicalArchive, backup: BaseBackupManifest): Promise<string> {
  const folder = join(await makeTempFolder(cleanUp), "data");
  await makeServerFolder(folder);
  await makeServerFolder(join(folder, "pg_tblspc"));
  const user = await serverUser();
  for (const volume of backup.volumes) {
    const { tablespaceOid } = volume;
    const target = tablespaceOid === undefined ? folder : join(folder, "pg_tblspc", tablespaceOid);
    if (tablespaceOid !== undefined) await makeServerFolder(target);
    const owner = user.uid === undefined ? undefined : user;
    await extractVolume(readBaseVolume(archive, backup, volume), { folder: target, owner });
  }
  return folder;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) parts.push(chunk);
  return Buffer.concat(parts);
}

test("captureBaseBackup() stores what PostgreSQL's own pg_verifybackup finds complete, file by file", async (t) => {
  const archive = await makePhysicalArchive(t);
  const ranges: string[] = [];
  const manifest = await captureBaseBackup(
    archive,
    request({ waitForWal: (range) => Promise.resolve(void ranges.push(`${range.start < range.stop}`)) }),
    t.signal,
  );
  assert.deepEqual(ranges, ["true"]);
  assert.deepEqual(await readBaseBackup(archive, manifest.backupId), manifest);
  assert.equal(manifest.suspectPages.count, 0);
  assert.ok(manifest.hasChecksums);
  assert.deepEqual(
    manifest.tablespaces.map(({ path }) => path),
    [join(server.folder, "space")],
  );
  const folder = await extract(t, archive, manifest);
  await rename(join(folder, "tablespace_map.source"), join(folder, "tablespace_map"));
  await writeFile(join(folder, "backup_manifest"), await collect(readServerManifest(archive, manifest)));
  await runProgram("pg_verifybackup", ["--no-parse-wal", folder]);
});

test("captureBaseBackup() carries every folder that a server needs, also the empty ones", async (t) => {
  const archive = await makePhysicalArchive(t);
  const manifest = await captureBaseBackup(archive, request(), t.signal);
  const folder = await extract(t, archive, manifest);
  const expected = (await readdir(server.dataFolder, { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(server.dataFolder.length))
    .filter((path) => !/^\/(pg_tblspc|pg_replslot|pg_wal)\/./.test(path) && !path.includes("pgsql_tmp"));
  for (const path of expected) {
    const found = await stat(join(folder, path));
    assert.ok(found.isDirectory(), path);
    assert.equal(found.mode & 0o777, 0o700, path);
  }
});

test("captureBaseBackup() keeps pg_control for the last volume, and never a tablespace map that works unchanged", async (t) => {
  const archive = await makePhysicalArchive(t);
  const manifest = await captureBaseBackup(archive, request(), t.signal);
  const folder = join(await makeTempFolder(t), "partial");
  await makeServerFolder(folder);
  const last = manifest.volumes.filter((volume) => volume.isLast && volume.tablespaceOid === undefined);
  assert.equal(last.length, 1);
  for (const volume of manifest.volumes)
    if (volume.tablespaceOid === undefined && !volume.isLast)
      await extractVolume(readBaseVolume(archive, manifest, volume), { folder });
  assert.ok(!(await readdir(join(folder, "global"))).includes("pg_control"));
  const names = await readdir(folder);
  assert.ok(names.includes("tablespace_map.source"));
  assert.ok(!names.includes("tablespace_map"));
});

test("R10: captureBaseBackup() records a bad page as suspect and goes on", async (t) => {
  const damaged = await startPostgresServer(t);
  await damaged.query("create table item as select n, md5(n::text) as body from generate_series(1, 20000) n");
  const path = await damaged.value("select pg_relation_filepath('item')");
  await damaged.stop();
  const file = await open(join(damaged.dataFolder, path), "r+");
  await file.write(Buffer.from("damage"), 0, 6, 3 * 8192 + 4000);
  await file.close();
  await damaged.start();
  const archive = await makePhysicalArchive(t);
  const manifest = await captureBaseBackup(
    archive,
    request({
      systemId: await damaged.value("select system_identifier::text from pg_control_system()"),
      target: { client: damaged.client(), applicationName: "tidemark_test" },
    }),
    t.signal,
  );
  assert.deepEqual(manifest.suspectPages, { count: 1, named: [{ path, page: 3 }] });
});

test("captureBaseBackup() leaves nothing when the WAL can't be stored, when it is cancelled, or on another cluster", async (t) => {
  const archive = await makePhysicalArchive(t);
  const objects = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const object of archive.store.list("databases/")) keys.push(object.key);
    return keys;
  };
  const noWal = request({ waitForWal: () => Promise.reject(new Error("no WAL")) });
  await assert.rejects(captureBaseBackup(archive, noWal, t.signal), /no WAL/);
  const stop = new AbortController();
  const cancelled = request({ onProgress: () => stop.abort(new Error("cancelled")) });
  await assert.rejects(captureBaseBackup(archive, cancelled, stop.signal), /cancelled/);
  await assert.rejects(captureBaseBackup(archive, request({ systemId: "1" }), t.signal), { code: "lineage_diverged" });
  assert.deepEqual(await objects(), []);
  for await (const backupId of listBaseBackups(archive)) assert.fail(backupId);
});

test("captureBaseBackup() fails and leaves nothing when the server dies in mid-backup", async (t) => {
  const dying = await startPostgresServer(t);
  const archive = await makePhysicalArchive(t);
  let killed: Promise<unknown> | undefined;
  const fatal = request({
    systemId: await dying.value("select system_identifier::text from pg_control_system()"),
    target: { client: dying.client(), applicationName: "tidemark_test" },
    rateLimitBytes: 4 * 1024 * 1024,
    onProgress: () => (killed ??= dying.kill()),
  });
  await assert.rejects(captureBaseBackup(archive, fatal, t.signal), (error) => error instanceof Error);
  await killed;
  for await (const object of archive.store.list("databases/")) assert.fail(object.key);
});

test("readBaseVolume() refuses a flipped bit", async (t) => {
  const archive = await makePhysicalArchive(t);
  const manifest = await captureBaseBackup(archive, request(), t.signal);
  const volume = manifest.volumes[0];
  assert.ok(volume !== undefined);
  const key = baseVolumeKey(archive.prefix, manifest.backupId, volume.number);
  const stored = await collect(archive.store.get(key));
  stored[stored.length >> 1] = (stored[stored.length >> 1] ?? 0) ^ 1;
  await archive.store.put(key, stored, { overwrite: true });
  await assert.rejects(collect(readBaseVolume(archive, manifest, volume)), { code: "object_corrupt" });
});

const hasTools = await Promise.all(["age", "zstd"].map((tool) => promisify(execFile)(tool, ["--version"]))).then(
  () => true,
  () => false,
);

const UNPACKS = "captureBaseBackup() writes volumes that age, zstd and tar unpack by the documented line";
test(UNPACKS, { skip: !hasTools && "age or zstd is not installed" }, async (t) => {
  const archive = await makePhysicalArchive(t);
  const manifest = await captureBaseBackup(archive, request(), t.signal);
  const folder = await makeTempFolder(t);
  await writeFile(join(folder, "database.age-identity"), archive.identity, { mode: 0o600 });
  const unpacked: string[] = [];
  for (const volume of manifest.volumes) {
    const key = baseVolumeKey(archive.prefix, manifest.backupId, volume.number);
    await writeFile(join(folder, "volume"), await collect(archive.store.get(key)));
    const line = "age --decrypt --identity database.age-identity volume | zstd --decompress --stdout | tar -t";
    const { stdout } = await promisify(execFile)("bash", ["-o", "pipefail", "-c", line], {
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024,
    });
    unpacked.push(...stdout.trim().split("\n"));
  }
  assert.equal(unpacked.filter((name) => !name.endsWith("/")).length, manifest.fileCount);
  assert.equal(unpacked.at(-1), "global/pg_control");
});
