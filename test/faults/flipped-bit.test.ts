import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test, type TestContext } from "node:test";
import { writeDatabaseKey } from "../../src/repository/database-keys.ts";
import { type WalPiece, walPieceKey } from "../../src/repository/physical-layout.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { listLineageObjects, readWalPiece, storeWalPiece } from "../../src/repository/wal-archive.ts";
import { executeRestore } from "../../src/restore/restore.ts";
import { type Verification, verifyRepository } from "../../src/restore/verify-repository.ts";
import { BackedUpServer } from "../harness/backed-up-server.ts";
import { type Faults, withFaults } from "../harness/fault-store.ts";
import { plan, restoreCall } from "../harness/restored-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

/** In the header, and in the first chunk: no object is so small that it hasn't both. */
const OFFSETS_BYTES = [100, 190] as const;

const cleanUps: (() => Promise<void>)[] = [];
const faults: Faults = {};
let scene: BackedUpServer;
let tablespaces: ReadonlyMap<string, string>;

async function verify(isDeep: boolean): Promise<Verification> {
  const repository = await openRepository(scene.archive.store);
  return verifyRepository(repository, { isDeep, unwrap: () => Promise.resolve(scene.archive.identity) });
}

/** Damages reading of the last stored object that matches. @returns its key */
async function damage(t: TestContext, pattern: RegExp, offsetBytes: number = OFFSETS_BYTES[1]): Promise<string> {
  let found: string | undefined;
  for await (const { key } of scene.archive.store.list("databases/")) if (pattern.test(key)) found = key;
  assert.ok(found !== undefined);
  faults.flip = { key: new RegExp(`^${RegExp.escape(found)}$`), offsetBytes };
  t.after(() => {
    faults.flip = undefined;
  });
  return found;
}

suite("a flipped bit in a stored object", () => {
  before(async () => {
    scene = await BackedUpServer.open(
      { after: (clean) => void cleanUps.push(clean) },
      { wrap: (store) => withFaults(store, faults) },
    );
    await writeDatabaseKey(await openRepository(scene.archive.store), "ad-test", Buffer.from("a wrapped identity"));
    await scene.backUp();
    await scene.commitAndStore(3);
    const oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
    tablespaces = new Map([
      [oid, join(await makeTempFolder({ after: (clean) => void cleanUps.push(clean) }), "space")],
    ]);
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("verifyRepository() finds a whole repository sound, at both depths", async () => {
    for (const isDeep of [false, true]) {
      const found = await verify(isDeep);
      assert.deepEqual([found.badObjects, found.holes, found.isSound], [[], [], true]);
      assert.equal(found.chains, 1);
      assert.ok(found.objects > 5 && found.storedBytes > 1_000_000);
    }
  });

  for (const [what, pattern] of [
    ["a volume", /volume-/],
    ["PostgreSQL's manifest", /backup_manifest/],
    ["a piece of write-ahead log", /\/wal\//],
    ["a base backup's manifest", /base-manifests/],
    ["a lineage's record", /lineages/],
  ] as const)
    test(`verifyRepository() names the object when it lies in ${what}`, async (t) => {
      for (const offsetBytes of OFFSETS_BYTES) {
        const key = await damage(t, pattern, offsetBytes);
        const { badObjects, isSound } = await verify(true);
        assert.deepEqual([badObjects.map((bad) => bad.key), isSound], [[key], false]);
      }
    });

  test("verifyRepository() finds records that were wrong before they were stored", async (t) => {
    const { store, prefix } = scene.archive;
    let last: { key: string; place: WalPiece } | undefined;
    for await (const object of listLineageObjects(scene.archive, scene.wal.lineage))
      if (object.kind === "piece") last = { key: walPieceKey(prefix, object.piece), place: object.piece };
    assert.ok(last !== undefined);
    const { key, place } = last;
    const stored = Buffer.concat(await Array.fromAsync(store.get(key)));
    const plain = Buffer.concat(await Array.fromAsync(readWalPiece(scene.archive, place)));
    plain[plain.length >> 1] = (plain[plain.length >> 1] ?? 0) ^ 1;
    await store.delete(key);
    const wrong = await storeWalPiece(scene.archive, place, async function* () {
      yield plain;
    });
    t.after(async () => {
      await store.delete(walPieceKey(prefix, wrong));
      await store.put(key, stored);
    });
    assert.deepEqual((await verify(false)).badObjects, []);
    const { badObjects } = await verify(true);
    assert.deepEqual(
      badObjects.map(({ code }) => code),
      ["wal_invalid"],
    );
  });

  test("executeRestore() names the volume, and leaves a folder without pg_control", async (t) => {
    const folder = join(await makeTempFolder(t), "data");
    const prepared = await plan(t, scene.archive, { target: { kind: "latest" }, tablespaces, folder });
    const key = await damage(t, /volume-/);
    await assert.rejects(executeRestore(scene.archive, prepared, await restoreCall(t)), (error) => {
      assert.ok(error instanceof Error && error.message.includes(key), String(error));
      return true;
    });
    await assert.rejects(access(join(folder, "global", "pg_control")), { code: "ENOENT" });
  });

  test("prepareRestore() names the piece of write-ahead log that it can't read", async (t) => {
    const key = await damage(t, /\/wal\//);
    await assert.rejects(plan(t, scene.archive, { target: { kind: "latest" }, tablespaces }), (error) => {
      assert.ok(error instanceof Error && error.message.includes(key), String(error));
      return true;
    });
  });
});
