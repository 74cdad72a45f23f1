import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { type Lsn, parseLsn } from "../../src/core/lsn.ts";
import { parseTimestamp } from "../../src/core/timestamp.ts";
import type { BaseBackupManifest } from "../../src/repository/base-backup-set.ts";
import type { RestorePlan } from "../../src/restore/plan.ts";
import type { RestoreTarget } from "../../src/restore/target-request.ts";
import { BackedUpServer, type LedgerEntry, ledgerOf } from "../harness/backed-up-server.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { plan, restore } from "../harness/restored-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const COMMITS = 12;

const cleanUps: (() => Promise<void>)[] = [];
let scene: BackedUpServer;
let backup: BaseBackupManifest;
let oid: string;
/** Right after the sixth commit. */
let unique: Lsn;
let twice: readonly Lsn[];

async function makePoint(name: string): Promise<Lsn> {
  return parseLsn(await scene.server.value(`select pg_create_restore_point('${name}')::text`));
}

async function spaces(cleanUp: CleanUp): Promise<ReadonlyMap<string, string>> {
  return new Map([[oid, join(await makeTempFolder(cleanUp), "space")]]);
}

async function planned(t: CleanUp, target: RestoreTarget): Promise<RestorePlan["target"]> {
  return (await plan(t, scene.archive, { target, tablespaces: await spaces(t) })).plan.target;
}

function entry(index: number): LedgerEntry {
  const found = scene.entries[index];
  assert.ok(found !== undefined);
  return found;
}

suite("targets of a restore", () => {
  before(async () => {
    scene = await BackedUpServer.open({ after: (clean) => void cleanUps.push(clean) });
    await makePoint("within the backup");
    backup = await scene.backUp();
    oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
    for (let count = 0; count < COMMITS / 2; count++) await scene.commit();
    unique = await makePoint("before the migration");
    const first = await makePoint("nightly");
    for (let count = 0; count < COMMITS / 2; count++) await scene.commit();
    twice = [first, await makePoint("nightly")];
    await scene.server.query("select pg_switch_wal()");
    await scene.wal.store();
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("executeRestore() to a named restore point brings back what was committed before it, and nothing after", async (t) => {
    const target = { kind: "restore point", name: "before the migration" } as const;
    const restored = await restore(t, scene.archive, { target, tablespaces: await spaces(t) });
    assert.equal(parseLsn(restored.plan.target.endLsn), unique);
    assert.equal(restored.plan.target.lastCommit?.xid, entry(COMMITS / 2 - 1).xid);
    const server = await startPostgresServer(t, {
      dataFolder: restored.folder,
      settings: { max_prepared_transactions: "5" },
    });
    assert.equal(await ledgerOf(server), scene.idsUntil(entry(COMMITS / 2 - 1)));
  });

  test("resolveTarget() refuses a name that several restore points have, with their moments, each of which works", async (t) => {
    const ambiguous = planned(t, { kind: "restore point", name: "nightly" });
    await assert.rejects(ambiguous, {
      code: "target_unreachable",
      message: /2 restore points have the name "nightly"/,
    });
    const error = await ambiguous.then(
      () => assert.fail("it was refused"),
      (thrown: unknown) => thrown,
    );
    const positions = [...String(Object(error)["hint"]).matchAll(/at ([0-9A-F]+\/[0-9A-F]+)/g)].map(([, lsn]) => lsn);
    assert.equal(positions.length, twice.length);
    for (const [index, position] of positions.entries()) {
      const { endLsn } = await planned(t, { kind: "lsn", lsn: parseLsn(position ?? "") });
      assert.equal(parseLsn(endLsn), twice[index]);
    }
  });

  test("resolveTarget() refuses an unknown name with those that there are, but for one from before the window", async (t) => {
    for (const name of ["before the migratino", "within the backup"])
      await assert.rejects(
        planned(t, { kind: "restore point", name }),
        ({ code, hint }: { code: string; hint: string }) => {
          assert.equal(code, "target_unreachable");
          assert.match(hint, /"before the migration" of 20.*"nightly" of 20.*"nightly" of 20/);
          assert.doesNotMatch(hint, /within the backup/);
          return true;
        },
      );
  });

  test("resolveTarget() leaves out what lies exactly at an exclusive time, position or transaction", async (t) => {
    const [earlier, at] = [entry(7), entry(8)];
    const time = parseTimestamp(at.time);
    for (const target of [
      { kind: "time", time },
      { kind: "xid", xid: at.xid },
    ] as const) {
      assert.equal((await planned(t, target)).lastCommit?.xid, at.xid);
      const exclusive = await planned(t, { ...target, isExclusive: true });
      assert.equal(exclusive.lastCommit?.xid, earlier.xid);
      assert.equal(exclusive.firstLeftOut?.xid, at.xid);
    }
    const commit = await planned(t, { kind: "xid", xid: at.xid });
    const lsn = parseLsn(commit.lsn);
    assert.equal((await planned(t, { kind: "lsn", lsn })).lastCommit?.xid, at.xid);
    const exclusive = await planned(t, { kind: "lsn", lsn, isExclusive: true });
    assert.equal(exclusive.lastCommit?.xid, earlier.xid);
    assert.equal(parseLsn(exclusive.endLsn), lsn);
  });

  test("resolveTarget() names the latest moment when a time lies in the future, and it works", async (t) => {
    const time = parseTimestamp("2999-01-01 00:00 Europe/Paris");
    const future = planned(t, { kind: "time", time });
    const last = entry(COMMITS - 1);
    await assert.rejects(future, ({ details }: { details: { latest: string; latest_lsn: string } }) => {
      assert.equal(details.latest, last.time);
      return true;
    });
    assert.equal((await planned(t, { kind: "time", time: parseTimestamp(last.time) })).lastCommit?.xid, last.xid);
  });

  test("resolveTarget() names an earliest moment that works when a time lies before the window", async (t) => {
    const tooEarly = planned(t, { kind: "time", time: parseTimestamp("2020-01-01T00:00:00Z") });
    const earliest = await tooEarly.then(
      () => assert.fail("it was refused"),
      (thrown: unknown) => String(Object(Object(thrown)["details"])["earliest"]),
    );
    const { lsn } = await planned(t, { kind: "time", time: parseTimestamp(earliest) });
    assert.ok(parseLsn(lsn) < parseLsn(entry(0).lsn));
    const exact = await planned(t, { kind: "lsn", lsn: parseLsn(backup.stopLsn), isExclusive: true });
    assert.ok(parseLsn(exact.endLsn) <= parseLsn(backup.stopLsn));
    await assert.rejects(planned(t, { kind: "xid", xid: 3 }), { code: "target_unreachable" });
  });
});
