import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openTestRepository, storeArchive } from "../../src/repository/logical-backup.fixture.ts";
import { readStoredArchive, verifyStoredArchive } from "../../src/repository/logical-archive.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const MIB = 1024 * 1024;
const DUMP_BYTES = 400 * MIB;

/**
 * Blocks in flight with their results, chunks on their way, and above all what the garbage collector leaves lying before it runs. Half the dump: what is
 * kept of it would be seen.
 */
const GROWTH_BYTES_MAX = 200 * MIB;

/** Text with some noise, each piece a buffer of its own as a pipe gives them. */
async function* largeDump(): AsyncGenerator<Uint8Array> {
  const line = Buffer.from("42\tsome customer\tcustomer@example.org\t2024-01-01 00:00:00+00\n".repeat(1100)).subarray(
    0,
    64 * 1024,
  );
  for (let made = 0; made < DUMP_BYTES; made += line.length) {
    const piece = Buffer.from(line);
    for (let at = 0; at < piece.length; at += 256) piece.writeDoubleLE(Math.random(), at);
    yield piece;
  }
}

test("storeLogicalArchive() and its verification stay within their memory, whatever the size of the dump", async (context) => {
  const store = await openFolderStore(join(await makeTempFolder(context), "repository"));
  const place = await openTestRepository(store);
  const beforeBytes = process.resourceUsage().maxRSS * 1024;
  const { archive } = await storeArchive(place, largeDump());
  await verifyStoredArchive(place.repository, archive);
  let dumpBytes = 0;
  for await (const chunk of readStoredArchive(place.repository, archive).readDump()) dumpBytes += chunk.length;
  assert.equal(dumpBytes, DUMP_BYTES);
  const growthBytes = process.resourceUsage().maxRSS * 1024 - beforeBytes;
  assert.ok(growthBytes < GROWTH_BYTES_MAX, `it grew by ${Math.round(growthBytes / MIB)} MiB`);
  context.diagnostic(`grew by ${Math.round(growthBytes / MIB)} MiB for a dump of ${DUMP_BYTES / MIB} MiB`);
});
