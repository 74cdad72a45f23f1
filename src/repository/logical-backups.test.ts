import assert from "node:assert/strict";
import { test } from "node:test";
import { code } from "../../test/contract/store.ts";
import { systemClock } from "../core/clock.ts";
import { openMemoryStore } from "../storage/memory-store.ts";
import type { Store } from "../storage/store.ts";
import { deleteDatabaseKey, listDatabaseIds, readDatabaseKey, writeDatabaseKey } from "./database-keys.ts";
import { logicalManifestKey } from "./layout.ts";
import { bytesAsDump, commitArchive, DATABASE_ID, openTestRepository, storeArchive } from "./logical-backup.fixture.ts";
import { deleteLogicalBackup, listLogicalBackups, sweepLogicalOrphans } from "./logical-backups.ts";
import { readLogicalManifest } from "./logical-manifest.ts";

const DUMP = Buffer.from("a dump of few bytes");
const LATER = new Date(Date.now() + 60_000);

async function keys(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list("databases/")) found.push(key);
  return found;
}

test("listLogicalBackups() gives committed backups, oldest first, from the store alone", async () => {
  const place = await openTestRepository(openMemoryStore(systemClock));
  const ids = ["000000000002", "000000000001", "000000000003"].map((time) => time + "a".repeat(12));
  for (const id of ids) await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP), id));
  await storeArchive(place, bytesAsDump(DUMP), "000000000004" + "a".repeat(12)); // never committed
  const listed: string[] = [];
  for await (const entry of listLogicalBackups(place.repository, DATABASE_ID, place.identity))
    listed.push(entry.backupId);
  assert.deepEqual(listed, ids.sort());
});

test("listLogicalBackups() gives a damaged manifest with its error and goes on", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const first = await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  const second = await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  await store.put(logicalManifestKey(DATABASE_ID, first.backupId), Buffer.from("rubbish"), { overwrite: true });
  const errors: Record<string, string | undefined> = {};
  for await (const entry of listLogicalBackups(place.repository, DATABASE_ID, place.identity))
    errors[entry.backupId] = entry.error?.code;
  assert.deepEqual(errors, { [first.backupId]: "object_corrupt", [second.backupId]: undefined });
});

test("listLogicalBackups() rejects with key_missing for another database's identity", async () => {
  const place = await openTestRepository(openMemoryStore(systemClock));
  const stranger = await openTestRepository(openMemoryStore(systemClock));
  await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  const listing = listLogicalBackups(place.repository, DATABASE_ID, stranger.identity);
  await assert.rejects(listing.next(), code("key_missing"));
});

test("writeLogicalManifest() commits a backup once: the second attempt changes nothing", async () => {
  const place = await openTestRepository(openMemoryStore(systemClock));
  const first = await storeArchive(place, bytesAsDump(DUMP));
  const second = await storeArchive(place, bytesAsDump(DUMP), first.backupId);
  const manifest = await commitArchive(place, first);
  await assert.rejects(commitArchive(place, second), code("object_exists"));
  assert.deepEqual(await readLogicalManifest(place.repository, manifest, place.identity), manifest);
});

test("readLogicalManifest() answers undefined for a backup that isn't there, and refuses one under another's name", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const manifest = await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  const other = { databaseId: DATABASE_ID, backupId: "0".repeat(24) };
  assert.equal(await readLogicalManifest(place.repository, other, place.identity), undefined);
  await store.put(
    logicalManifestKey(DATABASE_ID, other.backupId),
    store.get(logicalManifestKey(DATABASE_ID, manifest.backupId)),
  );
  await assert.rejects(readLogicalManifest(place.repository, other, place.identity), code("object_corrupt"));
});

test("deleteLogicalBackup() removes the manifest and all attempts, and may be called again", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const kept = await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  const stored = await storeArchive(place, bytesAsDump(DUMP));
  await storeArchive(place, bytesAsDump(DUMP), stored.backupId);
  const gone = await commitArchive(place, stored);
  await deleteLogicalBackup(place.repository, gone);
  await deleteLogicalBackup(place.repository, gone);
  assert.deepEqual(await keys(store), [kept.archive.key, logicalManifestKey(DATABASE_ID, kept.backupId)]);
});

test("sweepLogicalOrphans() takes archives that no manifest names once they are old enough", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const kept = await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  const orphan = await storeArchive(place, bytesAsDump(DUMP));
  const deadAttempt = await storeArchive(place, bytesAsDump(DUMP), kept.backupId);
  const options = { databaseId: DATABASE_ID, identity: place.identity };
  assert.deepEqual(await sweepLogicalOrphans(place.repository, { ...options, before: new Date(0) }), []);
  const swept = await sweepLogicalOrphans(place.repository, { ...options, before: LATER });
  assert.deepEqual(swept, [orphan.archive.key, deadAttempt.archive.key].sort());
  assert.deepEqual(await keys(store), [kept.archive.key, logicalManifestKey(DATABASE_ID, kept.backupId)]);
});

test("sweepLogicalOrphans() removes nothing while a manifest can't be read", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const damaged = await commitArchive(place, await storeArchive(place, bytesAsDump(DUMP)));
  await store.put(logicalManifestKey(DATABASE_ID, damaged.backupId), Buffer.from("rubbish"), { overwrite: true });
  const before = await keys(store);
  const options = { databaseId: DATABASE_ID, identity: place.identity, before: LATER };
  await assert.rejects(sweepLogicalOrphans(place.repository, options), code("object_corrupt"));
  assert.deepEqual(await keys(store), before);
});

test("writeDatabaseKey() keeps a wrapped key by database, listed by listDatabaseIds()", async () => {
  const { repository } = await openTestRepository(openMemoryStore(systemClock));
  assert.equal(await readDatabaseKey(repository, "ad-1"), undefined);
  for (const id of ["ad-2", "ad-1"]) await writeDatabaseKey(repository, id, Buffer.from(`key of ${id}`));
  await writeDatabaseKey(repository, "ad-2", Buffer.from("wrapped anew"));
  assert.equal((await readDatabaseKey(repository, "ad-2"))?.toString(), "wrapped anew");
  assert.deepEqual(await Array.fromAsync(listDatabaseIds(repository)), ["ad-1", "ad-2"]);
  await deleteDatabaseKey(repository, "ad-2");
  await deleteDatabaseKey(repository, "ad-2");
  assert.deepEqual(await Array.fromAsync(listDatabaseIds(repository)), ["ad-1"]);
});
