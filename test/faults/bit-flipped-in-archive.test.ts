import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/core/clock.ts";
import { isErrorCode } from "../../src/core/errors.ts";
import { openLogicalArchive } from "../../src/repository/logical-archive.ts";
import {
  commitArchive,
  openTestRepository,
  randomDump,
  storeArchive,
} from "../../src/repository/logical-backup.fixture.ts";
import { listLogicalBackups } from "../../src/repository/logical-backups.ts";
import { openMemoryStore } from "../../src/storage/memory-store.ts";
import { readAll } from "../../src/stream/byte-stream.ts";
import { withFaults, type Faults } from "../harness/fault-store.ts";

const DUMP_BYTES = 500_000;

/** The error says `object_corrupt` and names the object. */
function namesObject(key: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isErrorCode(error, "object_corrupt"), String(error));
    assert.ok(error.message.includes(key), error.message);
    return true;
  };
}

test("verifyStoredArchive() finds a bit that the store has flipped, anywhere, before anything is committed", async () => {
  const faults: Faults = {};
  const place = await openTestRepository(withFaults(openMemoryStore(systemClock), faults));
  const stored = await storeArchive(place, randomDump(DUMP_BYTES));
  const { key, storedSizeBytes } = stored.archive;
  for (const offsetBytes of [0, 30, 180, 250, 5000, 65_800, 300_000, storedSizeBytes - 1]) {
    faults.flip = { key: /archives/, offsetBytes };
    await assert.rejects(commitArchive(place, stored), namesObject(key), `byte ${offsetBytes}`);
  }
  faults.flip = undefined;
  for (const offsetBytes of [0, 100, 300, 65_000, 131_000, storedSizeBytes - 1]) {
    faults.cut = { key: /archives/, offsetBytes };
    await assert.rejects(commitArchive(place, stored), namesObject(key), `cut at ${offsetBytes}`);
  }
  faults.cut = undefined;
  await commitArchive(place, stored);
});

test("openLogicalArchive() never hands out bytes of a chunk in which a bit was flipped", async () => {
  const faults: Faults = {};
  const place = await openTestRepository(withFaults(openMemoryStore(systemClock), faults));
  const manifest = await commitArchive(place, await storeArchive(place, randomDump(DUMP_BYTES)));
  const reader = await openLogicalArchive(place.repository, manifest, place.identity);
  const whole = await readAll(reader.read(), 2 * DUMP_BYTES);
  for (const offsetBytes of [400, 100_000, manifest.archive.storedSizeBytes - 1]) {
    faults.flip = { key: /archives/, offsetBytes };
    const got: Uint8Array[] = [];
    const reading = async (): Promise<void> => {
      for await (const chunk of reader.read()) got.push(chunk);
    };
    await assert.rejects(reading(), namesObject(manifest.archive.key));
    const bytes = Buffer.concat(got);
    assert.ok(bytes.equals(whole.subarray(0, bytes.length)), "all that came before is right");
    assert.ok(bytes.length <= offsetBytes);
  }
});

test("readLogicalManifest() by way of its list names a manifest in which a bit was flipped", async () => {
  const faults: Faults = {};
  const place = await openTestRepository(withFaults(openMemoryStore(systemClock), faults));
  const manifest = await commitArchive(place, await storeArchive(place, randomDump(1000)));
  faults.flip = { key: /manifests/, offsetBytes: 300 };
  const [entry] = await Array.fromAsync(listLogicalBackups(place.repository, manifest.databaseId, place.identity));
  assert.ok(namesObject(manifest.backupId)(entry?.error));
});
