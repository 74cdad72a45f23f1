import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { formatLsn, parseLsn } from "../../src/core/lsn.ts";
import { parseTimestamp } from "../../src/core/timestamp.ts";
import type { BaseBackupManifest } from "../../src/repository/base-backup-set.ts";
import { writeDatabaseKey } from "../../src/repository/database-keys.ts";
import { lineageWalPrefix } from "../../src/repository/physical-layout.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { verifyRepository } from "../../src/restore/verify-repository.ts";
import { BackedUpServer, type LedgerEntry } from "../harness/backed-up-server.ts";
import { plan } from "../harness/restored-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const cleanUps: (() => Promise<void>)[] = [];
const cleanUp = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) };
let scene: BackedUpServer;
let first: BaseBackupManifest;
let second: BaseBackupManifest;
let tablespaces: ReadonlyMap<string, string>;
/** The last commit before the hole, one in it, and the first after the second backup. */
let before1: LedgerEntry;
let inside: LedgerEntry;
let later: LedgerEntry;
let holeFrom: string;
let holeTo: string;

function last(): LedgerEntry {
  const entry = scene.entries.at(-1);
  assert.ok(entry !== undefined);
  return entry;
}

suite("write-ahead log that is missing in the repository", () => {
  before(async () => {
    scene = await BackedUpServer.open(cleanUp);
    await writeDatabaseKey(await openRepository(scene.archive.store), "ad-test", Buffer.from("a wrapped identity"));
    first = await scene.backUp();
    await scene.commitAndStore(3);
    before1 = last();
    holeFrom = formatLsn(await scene.wal.store());
    inside = await scene.commit();
    await scene.wal.skip();
    holeTo = await scene.server.value("select pg_current_wal_flush_lsn()::text");
    await scene.commitAndStore(2);
    second = await scene.backUp();
    await scene.commitAndStore(2);
    later = last();
    const oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
    tablespaces = new Map([[oid, join(await makeTempFolder(cleanUp), "space")]]);
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("resolveTarget() refuses a time in the hole, and names the hole and the moments around it", async (t) => {
    const target = { kind: "time", time: parseTimestamp(inside.time) } as const;
    await assert.rejects(plan(t, scene.archive, { target, tablespaces }), {
      code: "target_unreachable",
      details: { hole_from: holeFrom, hole_to: holeTo, before: before1.time, after: second.finishedAt },
    });
    const position = { kind: "lsn", lsn: parseLsn(inside.lsn) } as const;
    await assert.rejects(plan(t, scene.archive, { target: position, tablespaces }), { code: "target_unreachable" });
  });

  test("resolveTarget() reaches the moments on both sides, each from the backup on its side", async (t) => {
    for (const [entry, base] of [
      [before1, first],
      [later, second],
    ] as const) {
      const target = { kind: "time", time: parseTimestamp(entry.time) } as const;
      const { plan: planned } = await plan(t, scene.archive, { target, tablespaces });
      assert.deepEqual([planned.base.backupId, planned.target.lastCommit?.xid], [base.backupId, entry.xid]);
    }
  });

  test("verifyRepository() names the hole once, with its ends", async () => {
    const repository = await openRepository(scene.archive.store);
    const unwrap = (): Promise<string> => Promise.resolve(scene.archive.identity);
    const { holes, badObjects, isSound } = await verifyRepository(repository, { isDeep: false, unwrap });
    assert.deepEqual([badObjects, isSound], [[], false]);
    assert.deepEqual(
      holes.map(({ timeline, from, to, cutBackups, lostBackups }) => ({ timeline, from, to, cutBackups, lostBackups })),
      [{ timeline: 1, from: holeFrom, to: holeTo, cutBackups: [first.backupId], lostBackups: [] }],
    );
  });

  test("a backup whose own log has a hole is no backup to restore from, and verifyRepository() says so", async (t) => {
    const prefix = lineageWalPrefix(scene.archive.prefix, scene.wal.lineage);
    const stop = parseLsn(second.stopLsn);
    const removed: [string, Buffer][] = [];
    for await (const { key } of scene.archive.store.list(prefix)) {
      const name = /\/([0-9A-F]{24})\./.exec(key)?.[1] ?? "";
      const isOfStop = Number.parseInt(name.slice(16), 16) === Number((stop - 1n) >> 20n);
      if (!isOfStop) continue;
      const parts: Uint8Array[] = [];
      for await (const chunk of scene.archive.store.get(key)) parts.push(chunk);
      removed.push([key, Buffer.concat(parts)]);
      await scene.archive.store.delete(key);
    }
    t.after(async () => {
      for (const [key, bytes] of removed) await scene.archive.store.put(key, bytes);
    });
    const unwrap = (): Promise<string> => Promise.resolve(scene.archive.identity);
    const found = await verifyRepository(await openRepository(scene.archive.store), { isDeep: false, unwrap });
    assert.ok(found.holes.some(({ lostBackups }) => lostBackups.includes(second.backupId)));
    const { plan: planned } = await plan(t, scene.archive, { target: { kind: "latest" }, tablespaces });
    assert.equal(planned.base.backupId, first.backupId);
    assert.equal(planned.target.lastCommit?.xid, before1.xid);
    assert.match(planned.notes.join(), /is not stored/);
  });
});
