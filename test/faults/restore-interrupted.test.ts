import assert from "node:assert/strict";
import { access, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { executeRestore } from "../../src/restore/restore.ts";
import { BackedUpServer, ledgerOf } from "../harness/backed-up-server.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { plan, restore, restoreCall } from "../harness/restored-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const cleanUps: (() => Promise<void>)[] = [];
const cleanUp = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) };
let scene: BackedUpServer;
let oid: string;

suite("a restore that is interrupted", () => {
  before(async () => {
    scene = await BackedUpServer.open(cleanUp);
    await scene.backUp();
    await scene.commitAndStore(5);
    oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  for (const phase of ["fetch", "recover"] as const)
    test(`leaves a folder that doesn't start and says how to go on (${phase})`, async (t) => {
      const parent = await makeTempFolder(t);
      const [folder, space] = [join(parent, "data"), join(parent, "space")];
      const ask = { target: { kind: "latest" }, tablespaces: new Map([[oid, space]]), folder } as const;
      const prepared = await plan(t, scene.archive, ask);
      const stop = new AbortController();
      const call = await restoreCall(t, {
        signal: stop.signal,
        onProgress: (progress) => progress.phase === phase && stop.abort(new Error("stopped")),
      });
      await assert.rejects(executeRestore(scene.archive, prepared, call), /stopped/);
      await assert.rejects(access(join(folder, "global", "pg_control")), { code: "ENOENT" });
      assert.ok((await readdir(folder)).includes("tidemark-restore"));
      await assert.rejects(startPostgresServer(t, { dataFolder: folder }), /did not start/);
      await assert.rejects(restore(t, scene.archive, ask), (error) => {
        assert.ok(error instanceof Error && "hint" in error && String(error.hint).includes(`rm -r "${folder}"`));
        return true;
      });
      await rm(folder, { recursive: true });
      await rm(space, { recursive: true });
      await restore(t, scene.archive, ask);
      const server = await startPostgresServer(t, { dataFolder: folder, settings: { max_prepared_transactions: "5" } });
      const last = scene.entries.at(-1);
      assert.ok(last !== undefined);
      assert.equal(await ledgerOf(server), scene.idsUntil(last));
    });
});
