import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";
import { chmod, cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { z } from "zod";
import { parseTimestamp } from "../../src/core/timestamp.ts";
import { unwrapDatabaseKey } from "../../src/keys/database-key.ts";
import { openMasterKey } from "../../src/keys/master-key.ts";
import { readDatabaseKey } from "../../src/repository/database-keys.ts";
import { type PhysicalArchive, openPhysicalArchive, readSmallObject } from "../../src/repository/physical-archive.ts";
import { type CatalogueFact, readCatalogueFacts } from "../../src/repository/rebuild.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { verifyRepository } from "../../src/restore/verify-repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { type RestoreAsk, restore } from "../harness/restored-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/format-1-physical");
const DATABASE_ID = "ad-7c9e6679-7425-40de-944b-e07fc1f90ae7";
const expected = z
  .object({
    manifest: z.looseObject({ lineage: z.string() }),
    betweenRows: z.string(),
    joinedSegment: z.string(),
    tablespaceOid: z.string(),
    greeting: z.array(z.object({ id: z.number(), words: z.string() })),
    elsewhereRows: z.number(),
  })
  .parse(JSON.parse(await readFile(join(FIXTURE, "expected.json"), "utf8")));

// A copy: opening a store makes folders, and version control doesn't keep the modes of the key.
const folder = await makeTempFolder({ after });
await cp(FIXTURE, folder, { recursive: true });
await chmod(join(folder, "keys/master.age-identity"), 0o600);
const repository = await openRepository(await openFolderStore(join(folder, "repository")));
const master = await openMasterKey({ folder: join(folder, "keys"), mayCreate: false, now: new Date() });
const unwrap = (databaseId: string, wrapped: Uint8Array): Promise<string> =>
  unwrapDatabaseKey(master, databaseId, wrapped);

async function openArchive(): Promise<PhysicalArchive> {
  const wrapped = await readDatabaseKey(repository, DATABASE_ID);
  assert.ok(wrapped !== undefined);
  const identity = await unwrap(DATABASE_ID, wrapped);
  return openPhysicalArchive({
    repository,
    databaseId: DATABASE_ID,
    identity,
    recipients: [],
    framesInFlight: 1,
  });
}

async function startRestored(cleanUp: CleanUp, ask: RestoreAsk): Promise<PostgresServer> {
  const archive = await openArchive();
  const space = join(await makeTempFolder(cleanUp), "space");
  const restored = await restore(cleanUp, archive, { ...ask, tablespaces: new Map([[expected.tablespaceOid, space]]) });
  return startPostgresServer(cleanUp, { dataFolder: restored.folder });
}

describe("continuous backups of format 1", () => {
  test("verifyRepository() finds every object sound, byte by byte", async () => {
    const found = await verifyRepository(repository, { isDeep: true, unwrap });
    assert.deepEqual(found.badObjects, []);
    assert.deepEqual(found.holes, []);
    const { databases, chains, objects } = found;
    // The key, a base backup of 4 volumes and 2 manifests, 2 lineages, and of their log 12 pieces, a history and a gap.
    assert.deepEqual({ databases, chains, objects }, { databases: 1, chains: 1, objects: 23 });
  });

  test("names carry the keyed hash that docs/format.md specifies", async () => {
    const archive = await openArchive();
    const key = hkdfSync("sha256", archive.identity, "", "tidemark name key 1", 32);
    const named = /\.([0-9a-f]{64})\.zst\.age$/;
    let count = 0;
    for await (const object of repository.store.list("databases/")) {
      const mac = named.exec(object.key)?.[1];
      if (mac === undefined) continue;
      const plain = await readSmallObject(archive, object.key);
      assert.equal(createHmac("sha256", Buffer.from(key)).update(plain).digest("hex"), mac, object.key);
      count += 1;
    }
    assert.equal(count, 13);
  });

  test("readCatalogueFacts() reads every manifest and record with today's fields", async () => {
    const facts: CatalogueFact[] = await Array.fromAsync(readCatalogueFacts(repository, { unwrap }));
    assert.deepEqual(
      facts.map(({ kind }) => kind),
      ["database", "base backup", "lineage", "lineage"],
    );
    const [, base, abandoned, current] = facts;
    assert.ok(base?.kind === "base backup" && abandoned?.kind === "lineage" && current?.kind === "lineage");
    assert.deepEqual(base.manifest, expected.manifest);
    assert.deepEqual(
      abandoned.inventory.gaps.map(({ timeline, from, to }) => ({ timeline, from, to })),
      [{ timeline: 1, from: 0x10_0001n, to: 0x20_0000n }],
    );
    const { record, inventory } = current;
    assert.equal(record.lineage, expected.manifest.lineage);
    assert.deepEqual(
      inventory.histories.map(({ timeline }) => timeline),
      [2],
    );
    const joined = [...inventory.segments].find(([name]) => name === expected.joinedSegment)?.[1];
    assert.equal(joined?.pieces.length, 3);
  });

  test("executeRestore() brings back the last moment, over a change of timeline", async (t) => {
    const server = await startRestored(t, { target: { kind: "latest" } });
    assert.deepEqual(await server.query("select id, words from greeting order by id"), expected.greeting);
    assert.equal(await server.value("select count(*) from elsewhere"), String(expected.elsewhereRows));
  });

  test("executeRestore() brings back a moment between two commits of an older timeline", async (t) => {
    const target = { kind: "time", time: parseTimestamp(expected.betweenRows) } as const;
    const server = await startRestored(t, { target });
    assert.equal(await server.value("select string_agg(id::text, ',' order by id) from greeting"), "1,2");
  });
});
