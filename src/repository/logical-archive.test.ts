import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { code } from "../../test/contract/store.ts";
import { systemClock } from "../core/clock.ts";
import { openMemoryStore } from "../storage/memory-store.ts";
import { readAll } from "../stream/byte-stream.ts";
import { bytesAsDump, commitArchive, openTestRepository, storeArchive } from "./logical-backup.fixture.ts";
import { archiveName, openLogicalArchive } from "./logical-archive.ts";

const run = promisify(execFile);
const LIMIT_BYTES = 64 * 1024 * 1024;
const NAME = "20231207000608_my_app_4553";
/** An archive smaller than one age chunk, at its border, and of several chunks. */
const DUMP_SIZES = [0, 1, 511, 512, 64_000, 64_380, 64_448, 64_489, 65_536, 1_000_000];

test("archiveName() is the start in UTC and the resource id", () => {
  assert.equal(archiveName(new Date("2023-12-07T01:06:08.9+01:00"), "my_app_4553"), NAME);
  assert.throws(() => archiveName(new Date(), "../x"), code("bug"));
});

test("storeLogicalArchive() makes an archive that tar unpacks to the dump, of any size", async (context) => {
  const folder = await makeTempFolder(context);
  for (const sizeBytes of DUMP_SIZES) {
    const store = openMemoryStore(systemClock);
    const place = await openTestRepository(store);
    const dump = randomBytes(sizeBytes);
    const manifest = await commitArchive(place, await storeArchive(place, bytesAsDump(dump)));
    const reader = await openLogicalArchive(place.repository, manifest, place.identity);
    const archive = await readAll(reader.read(), LIMIT_BYTES);
    assert.equal(archive.length, manifest.archive.sizeBytes);
    assert.equal(createHash("sha256").update(archive).digest("hex"), manifest.archive.sha256);
    assert.equal(reader.fileName, `${NAME}.tar.gz`);

    const unpacked = join(folder, String(sizeBytes));
    await mkdir(unpacked);
    await writeFile(join(unpacked, reader.fileName), archive);
    const listed = await run("tar", ["-tzf", reader.fileName], { cwd: unpacked });
    assert.equal(listed.stdout, `${NAME}/\n${NAME}/${NAME}.pgsql\n`);
    await run("tar", ["-xzf", reader.fileName], { cwd: unpacked });
    assert.ok((await readFile(join(unpacked, NAME, `${NAME}.pgsql`))).equals(dump));
    await run("gunzip", ["--test", reader.fileName], { cwd: unpacked });
  }
});

test("storeLogicalArchive() begins every archive with a gzip member of 1,047 bytes that holds the tar headers", async () => {
  const place = await openTestRepository(openMemoryStore(systemClock));
  const manifest = await commitArchive(place, await storeArchive(place, bytesAsDump(randomBytes(5000))));
  const reader = await openLogicalArchive(place.repository, manifest, place.identity);
  const start = await readAll(reader.read({ offsetBytes: 0, lengthBytes: 1049 }), LIMIT_BYTES);
  assert.equal(start.readUInt16LE(11), 1024, "a stored block of two tar headers");
  assert.equal(start.toString("latin1", 15 + 257, 15 + 262), "ustar");
  assert.deepEqual([...start.subarray(1047)], [0x1f, 0x8b], "the next member follows");
});

test("openLogicalArchive() reads any range as the whole has it", async () => {
  const place = await openTestRepository(openMemoryStore(systemClock));
  const manifest = await commitArchive(place, await storeArchive(place, bytesAsDump(randomBytes(400_000))));
  const reader = await openLogicalArchive(place.repository, manifest, place.identity);
  const whole = await readAll(reader.read(), LIMIT_BYTES);
  const ranges = [
    [0, 1],
    [65_535, 2],
    [65_536, 65_536],
    [100_000, 200_000],
    [whole.length - 1, 1],
    [whole.length, 0],
  ] as const;
  for (const [offsetBytes, lengthBytes] of ranges) {
    const part = await readAll(reader.read({ offsetBytes, lengthBytes }), LIMIT_BYTES);
    assert.ok(part.equals(whole.subarray(offsetBytes, offsetBytes + lengthBytes)));
  }
  const beyond = reader.read({ offsetBytes: 1, lengthBytes: whole.length });
  await assert.rejects(readAll(beyond, LIMIT_BYTES), code("range_not_satisfiable"));
});

test("readDump() gives the dump alone", async () => {
  const place = await openTestRepository(openMemoryStore(systemClock));
  const dump = randomBytes(300_001);
  const manifest = await commitArchive(place, await storeArchive(place, bytesAsDump(dump)));
  const reader = await openLogicalArchive(place.repository, manifest, place.identity);
  assert.ok((await readAll(reader.readDump(), LIMIT_BYTES)).equals(dump));
});

test("openLogicalArchive() says what is wrong: gone, of another size, for another key", async () => {
  const store = openMemoryStore(systemClock);
  const place = await openTestRepository(store);
  const manifest = await commitArchive(place, await storeArchive(place, bytesAsDump(randomBytes(5000))));
  const stranger = await openTestRepository(openMemoryStore(systemClock));
  await assert.rejects(openLogicalArchive(place.repository, manifest, stranger.identity), code("key_missing"));
  await store.put(manifest.archive.key, Buffer.from("other bytes"), { overwrite: true });
  await assert.rejects(openLogicalArchive(place.repository, manifest, place.identity), code("object_corrupt"));
  await store.delete(manifest.archive.key);
  await assert.rejects(openLogicalArchive(place.repository, manifest, place.identity), code("object_not_found"));
});
