import assert from "node:assert/strict";
import { open, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { systemClock } from "../../src/core/clock.ts";
import { writeDatabaseKey } from "../../src/repository/database-keys.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { encryptAgeBytes } from "../../src/stream/age.ts";
import { type CliRun, runCli } from "../cli/run-cli.ts";
import { BackedUpServer, ledgerOf } from "../harness/backed-up-server.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const cleanUps: (() => Promise<void>)[] = [];
const cleanUp = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) };
let scene: BackedUpServer;
let repository: string;
let keyFile: string;
let oid: string;

/** The command line without a platform: no home, no login, nothing but a folder and a key. */
function tidemark(...words: string[]): Promise<CliRun> {
  return runCli([...words, "--repository", repository, "--key", keyFile], { options: { clock: systemClock } });
}

/** A repository in a folder of its own, whose keys are wrapped as a platform wraps them. */
async function copyRepository(): Promise<void> {
  const folder = await makeTempFolder(cleanUp);
  repository = join(folder, "repository");
  keyFile = join(folder, "key");
  const store = await openFolderStore(repository);
  for await (const { key } of scene.archive.store.list("")) await store.put(key, scene.archive.store.get(key));
  const master = await generateX25519Identity();
  await writeFile(keyFile, `# a copy of the master key\n${master}\n`);
  const wrapped = await encryptAgeBytes([await identityToRecipient(master)], Buffer.from(scene.archive.identity));
  await writeDatabaseKey(await openRepository(store), "ad-test", wrapped);
}

suite("the command line without a platform", () => {
  before(async () => {
    scene = await BackedUpServer.open(cleanUp);
    await scene.backUp();
    await scene.commitAndStore(10);
    oid = await scene.server.value("select oid::text from pg_tablespace where spcname = 'extra'");
    await copyRepository();
    await scene.server.stop();
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("`restore` tells its plan, then brings back a moment from folder and key alone", async (t) => {
    const entry = scene.entries[6];
    assert.ok(entry !== undefined);
    const parent = await makeTempFolder(t);
    const [folder, space] = [join(parent, "data"), join(parent, "space")];
    const words = [
      "restore",
      "--database",
      "ad-test",
      "--to",
      folder,
      "--at",
      entry.time,
      "--tablespace",
      `${oid}=${space}`,
    ];
    const planned = await tidemark(...words, "--dry-run", "--json");
    assert.equal(planned.exitCode, 0, planned.stderr);
    const { plan } = JSON.parse(planned.stdout) as { plan: { target: { last_commit: { xid: number } } } }; // as `RestorePlan` says
    assert.equal(plan.target.last_commit.xid, entry.xid);
    assert.deepEqual(await readdir(parent), []);
    const done = await tidemark(...words);
    assert.equal(done.exitCode, 0, done.stderr);
    assert.match(done.stdout, /-----> Restored: .*data is at 0\/[0-9A-F]+, on timeline 2 of its own/);
    const server = await startPostgresServer(t, { dataFolder: folder, settings: { max_prepared_transactions: "5" } });
    assert.equal(await ledgerOf(server), scene.idsUntil(entry));
  });

  test("`restore` says what is missing or wrong, and ends with the code of the failure", async (t) => {
    const folder = join(await makeTempFolder(t), "data");
    const refusals = [
      { words: ["--to", folder], exitCode: 2, says: /--database/ },
      { words: ["--to", folder, "--database", "ad-other"], exitCode: 1, says: /It holds: ad-test/ },
      { words: ["--to", folder, "--database", "ad-test"], exitCode: 1, says: new RegExp(`--tablespace ${oid}=FOLDER`) },
      { words: ["--to", folder, "--database", "ad-test", "--latest", "--lsn", "0/1"], exitCode: 2, says: /Only one/ },
      {
        words: ["--to", folder, "--database", "ad-test", "--at", "yesterday"],
        exitCode: 1,
        says: /Cannot read the time/,
      },
      {
        words: ["--to", folder, "--database", "ad-test", "--at", "2020-01-01T00:00:00Z"],
        exitCode: 1,
        says: /earliest moment is/,
      },
    ];
    for (const { words, exitCode, says } of refusals) {
      const run = await tidemark("restore", ...words);
      assert.equal(run.exitCode, exitCode, run.stderr);
      assert.match(run.stderr, says);
    }
    const nowhere = await runCli(["repository", "verify", "--repository", folder, "--key", keyFile]);
    assert.equal(nowhere.exitCode, 1);
    assert.match(nowhere.stderr, /Cannot find a repository/);
    assert.deepEqual(await readdir(join(folder, "..")), []);
  });

  test("`repository verify` is content with a whole repository, and names the object where one bit is wrong", async (t) => {
    const whole = await tidemark("repository", "verify", "--deep");
    assert.equal(whole.exitCode, 0, whole.stderr);
    assert.match(whole.stdout, /-----> Everything is whole/);
    const names = await readdir(join(repository, "databases"), { recursive: true });
    const volume = names.find((name) => name.includes("volume-000001"));
    assert.ok(volume !== undefined);
    await flip(t, join(repository, "databases", volume), 1000);
    const quick = await tidemark("repository", "verify", "--json");
    assert.equal(quick.exitCode, 0, "a flipped bit changes no size");
    const deep = await tidemark("repository", "verify", "--deep", "--json");
    assert.equal(deep.exitCode, 1);
    const { bad_objects: badObjects } = JSON.parse(deep.stdout) as { bad_objects: { key: string }[] }; // as `Verification` says
    assert.deepEqual(
      badObjects.map(({ key }) => key),
      [`databases/${volume}`],
    );
  });
});

/** Turns one bit of a file, and turns it back when the test ends. */
async function flip(t: { after(clean: () => Promise<void>): void }, path: string, offset: number): Promise<void> {
  const turn = async (): Promise<void> => {
    const file = await open(path, "r+");
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, offset);
    await file.close();
  };
  await turn();
  t.after(turn);
}
