import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../src/core/clock.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import {
  commitArchive,
  openTestRepository,
  randomDump,
  storeArchive,
} from "../../src/repository/logical-backup.fixture.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { openMemoryStore } from "../../src/storage/memory-store.ts";
import { code } from "../contract/store.ts";
import { withFaults, type Faults } from "../harness/fault-store.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;

test("storeLogicalArchive() leaves nothing when the store is full at any point, ends the dump, and succeeds later", async () => {
  const faults: Faults = {};
  const store = withFaults(openMemoryStore(systemClock), faults);
  const place = await openTestRepository(store);
  for (const afterBytes of [0, 1, 100_000, 2 * MIB]) {
    faults.put = { key: /archives/, afterBytes, error: new TidemarkError("disk_full", "full") };
    let ended = false;
    async function* dump(): AsyncGenerator<Uint8Array> {
      try {
        yield* randomDump(3 * MIB);
      } finally {
        ended = true;
      }
    }
    await assert.rejects(storeArchive(place, dump()), code("disk_full"));
    assert.ok(ended, "the dump's process can be ended");
    assert.deepEqual(await Array.fromAsync(store.list("databases/")), []);
  }
  faults.put = undefined;
  await commitArchive(place, await storeArchive(place, randomDump(3 * MIB)));
});

test("openFolderStore() says disk_full on a file system that is full, and gives the space back", async (context) => {
  const folder = join(await makeTempFolder(context), "small");
  await mkdir(folder);
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]);
  } catch {
    context.skip("this machine doesn't let us mount a small file system");
    return;
  }
  try {
    const store = await openFolderStore(join(folder, "repository"));
    const place = await openTestRepository(store);
    await assert.rejects(storeArchive(place, randomDump(8 * MIB)), code("disk_full"));
    assert.deepEqual(await readdir(join(folder, "repository", ".uploads")), []);
    await commitArchive(place, await storeArchive(place, randomDump(2 * MIB)));
  } finally {
    await run("umount", [folder]); // before the temp folder is removed
  }
});
