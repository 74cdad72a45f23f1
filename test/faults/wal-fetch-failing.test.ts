import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { TidemarkError } from "../../src/core/errors.ts";
import { executeRestore } from "../../src/restore/restore.ts";
import type { Store } from "../../src/storage/store.ts";
import { BackedUpServer, ledgerOf } from "../harness/backed-up-server.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { plan, restoreCall } from "../harness/restored-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

/** What reading write-ahead log meets from a given moment on. */
interface WalFault {
  /** Reads that fail from now on. */
  failures: number;
  error: TidemarkError;
  /** Reads never answer. */
  hangs: boolean;
}

const fault: WalFault = { failures: 0, error: new TidemarkError("storage_unavailable", "away"), hangs: false };
const cleanUps: (() => Promise<void>)[] = [];
const cleanUp = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) };
let scene: BackedUpServer;
let oid: string;

function withWalFault(store: Store): Store {
  return {
    ...store,
    async *get(key, call) {
      if (key.includes("/wal/") && fault.hangs)
        await new Promise((_, reject) => call?.signal?.addEventListener("abort", reject));
      if (key.includes("/wal/") && fault.failures > 0) {
        fault.failures -= 1;
        throw fault.error;
      }
      yield* store.get(key, call);
    },
  };
}

suite("write-ahead log that can't be fetched while a copy recovers", () => {
  before(async () => {
    scene = await BackedUpServer.open(cleanUp, { wrap: withWalFault });
    await scene.backUp();
    await scene.commitAndStore(5);
    await scene.server.query("select pg_switch_wal()");
    await scene.commitAndStore(5);
    oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("R5: executeRestore() waits for a store that is away for a moment, and loses nothing", async (t) => {
    const tablespaces = new Map([[oid, join(await makeTempFolder(t), "space")]]);
    const prepared = await plan(t, scene.archive, { target: { kind: "latest" }, tablespaces });
    t.after(() => {
      fault.failures = 0;
    });
    Object.assign(fault, { failures: 2, error: new TidemarkError("storage_unavailable", "away") });
    await executeRestore(scene.archive, prepared, await restoreCall(t));
    assert.equal(fault.failures, 0);
    const server = await startPostgresServer(t, {
      dataFolder: prepared.plan.folder,
      settings: { max_prepared_transactions: "5" },
    });
    const last = scene.entries.at(-1);
    assert.ok(last !== undefined);
    assert.equal(await ledgerOf(server), scene.idsUntil(last));
  });

  test("R5: executeRestore() never opens a copy whose log has ended early", async (t) => {
    const tablespaces = new Map([[oid, join(await makeTempFolder(t), "space")]]);
    const prepared = await plan(t, scene.archive, { target: { kind: "latest" }, tablespaces });
    t.after(() => {
      fault.failures = 0;
    });
    Object.assign(fault, { failures: Infinity, error: new TidemarkError("storage_denied", "no more") });
    const call = await restoreCall(t);
    await assert.rejects(executeRestore(scene.archive, prepared, call), { code: "storage_denied" });
    const log = await readFile(join(call.runFolder, "server.log"), "utf8");
    assert.doesNotMatch(log, /archive recovery complete/);
    await assert.rejects(access(join(prepared.plan.folder, "global", "pg_control")), { code: "ENOENT" });
    await assert.rejects(startPostgresServer(t, { dataFolder: prepared.plan.folder }), /did not start/);
  });

  test("R5: a recovering copy whose restore has died ends with an error instead of opening", async (t) => {
    const tablespaces = new Map([[oid, join(await makeTempFolder(t), "space")]]);
    const prepared = await plan(t, scene.archive, { target: { kind: "latest" }, tablespaces });
    const dead = spawn("true");
    await once(dead, "exit");
    assert.ok(dead.pid !== undefined);
    t.after(() => {
      fault.hangs = false;
    });
    fault.hangs = true;
    const call = await restoreCall(t, { pid: dead.pid });
    await assert.rejects(executeRestore(scene.archive, prepared, call), { code: "recovery_failed" });
    assert.match(await readFile(join(call.runFolder, "server.log"), "utf8"), /FATAL:.*could not restore file/);
  });
});
