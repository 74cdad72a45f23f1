import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { Client } from "pg";
import { writeDatabaseKey } from "../../src/repository/database-keys.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { encryptAgeBytes } from "../../src/stream/age.ts";
import { BackedUpServer } from "../harness/backed-up-server.ts";
import { type EscapeHatchInput, runEscapeHatch } from "../harness/escape-hatch.ts";
import { isRecord, startPlatform, waitFor } from "../harness/platform.ts";
import { makeServerFolder } from "../harness/postgres-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const FIXTURE = join(import.meta.dirname, "../fixtures/format-1-physical");
const FIXTURE_DATABASE = "ad-7c9e6679-7425-40de-944b-e07fc1f90ae7";
const hasTools = await Promise.all(["age", "zstd"].map((tool) => run(tool, ["--version"]))).then(
  () => true,
  () => false,
);

/** A copy of the fixture that a test may damage. */
async function copyFixture(cleanUp: CleanUp): Promise<EscapeHatchInput & { readonly physical: string }> {
  const folder = await makeTempFolder(cleanUp);
  await cp(FIXTURE, folder, { recursive: true });
  return {
    repository: join(folder, "repository"),
    masterKey: join(folder, "keys/master.age-identity"),
    databaseId: FIXTURE_DATABASE,
    superuser: "postgres",
    physical: join(folder, "repository/databases", FIXTURE_DATABASE, "physical"),
  };
}

async function find(folder: string, name: RegExp): Promise<string> {
  const found = (await readdir(folder, { recursive: true })).find((path) => name.test(path));
  assert.ok(found !== undefined, `${folder} holds ${String(name)}`);
  return join(folder, found);
}

describe(
  "the commands of docs/operating/escape-hatch.md for continuous backups",
  { skip: !hasTools && "no age or zstd here" },
  () => {
    test("bring back what a platform has stored, to the last commit", async (t) => {
      const platform = await startPlatform(t);
      const { addonId, resourceId, uri } = await platform.provision("shop");
      const client = new Client({ connectionString: uri.replace("sslmode=prefer", "sslmode=disable") });
      await client.connect();
      await client.query("create table ledger as select n, md5(n::text) as note from generate_series(1, 5000) n");
      const sum = "select count(*)::int as count, md5(string_agg(note, ',' order by n)) as notes from ledger";
      const { rows: expected } = await client.query(sum);
      const { rows } = await client.query<{ at: string }>(
        `select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
      );
      await client.end();
      await waitFor(async () => (await latestMoment()) > String(rows[0]?.at), "a window that holds the table");
      await platform.stop();

      const hatch = await runEscapeHatch(t, {
        repository: join(platform.home, "repository"),
        masterKey: join(platform.home, "keys/master.age-identity"),
        databaseId: addonId,
        superuser: "tidemark",
      });
      assert.equal(hatch.exitCode, 0, hatch.output);
      assert.match(hatch.output, /backup successfully verified/);
      assert.deepEqual(await hatch.query(resourceId, sum), expected);

      async function latestMoment(): Promise<string> {
        const { body } = await platform.api("GET", `/api/databases/${addonId}/pitr/recovery_window`);
        const window = isRecord(body) && isRecord(body["recovery_window"]) ? body["recovery_window"] : {};
        const latest = window["latest_recoverable_at"];
        return typeof latest === "string" ? latest : "";
      }
    });

    test("follow timelines, put overlapping pieces together and give tablespaces other folders", async (t) => {
      const hatch = await runEscapeHatch(t, await copyFixture(t));
      assert.equal(hatch.exitCode, 0, hatch.output);
      const expected: unknown = JSON.parse(await readFile(join(FIXTURE, "expected.json"), "utf8"));
      assert.ok(isRecord(expected));
      assert.deepEqual(await hatch.query("postgres", "select * from greeting order by id"), expected["greeting"]);
      const [space] = await hatch.query(
        "postgres",
        "select count(*)::int, (select pg_tablespace_location(oid) from pg_tablespace where spcname = 'extra') from elsewhere",
      );
      assert.equal(space?.["count"], expected["elsewhereRows"]);
      assert.match(String(space?.["pg_tablespace_location"]), /\/tablespaces\/\d+$/);
    });

    test("stop at an earlier moment when one is given", async (t) => {
      const expected: unknown = JSON.parse(await readFile(join(FIXTURE, "expected.json"), "utf8"));
      const moment = isRecord(expected) ? String(expected["betweenRows"]) : "";
      const changes = `TARGET='recovery_target_time=${moment.replace("T", " ").replace("Z", "+00")}'`;
      const hatch = await runEscapeHatch(t, { ...(await copyFixture(t)), changes });
      assert.equal(hatch.exitCode, 0, hatch.output);
      assert.deepEqual(await hatch.query("postgres", "select id from greeting order by id"), [{ id: 1 }, { id: 2 }]);
    });

    test("stop at a volume that was changed", async (t) => {
      const fixture = await copyFixture(t);
      const volume = await find(fixture.physical, /volume-000003/);
      const bytes = await readFile(volume);
      bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
      await writeFile(volume, bytes);
      const hatch = await runEscapeHatch(t, fixture);
      assert.equal(hatch.exitCode, 1);
      assert.match(hatch.output, /STOP: .*volume-000003.* was changed/);
    });

    test("end with an error when log between the base backup and the target is missing", async (t) => {
      const fixture = await copyFixture(t);
      await rm(await find(fixture.physical, /000000010000000000000018\.00000000-/));
      const hatch = await runEscapeHatch(t, fixture);
      assert.equal(hatch.exitCode, 1);
      assert.match(hatch.output, /recovery ended before configured recovery target was reached/);
    });

    test("stop where replay would make a tablespace in a folder of this machine", async (t) => {
      const scene = await BackedUpServer.open(t);
      await scene.backUp();
      const live = join(scene.server.folder, "live");
      await makeServerFolder(live);
      await scene.server.query(`create tablespace later location '${live}'`);
      await scene.wal.store();
      const folder = await makeTempFolder(t);
      const store = await openFolderStore(join(folder, "repository"));
      for await (const { key } of scene.archive.store.list("")) await store.put(key, scene.archive.store.get(key));
      const master = await generateX25519Identity();
      const masterKey = join(folder, "key");
      await writeFile(masterKey, `${master}\n`, { mode: 0o600 });
      const wrapped = await encryptAgeBytes([await identityToRecipient(master)], Buffer.from(scene.archive.identity));
      await writeDatabaseKey(await openRepository(store), "ad-test", wrapped);
      const repository = join(folder, "repository");
      const hatch = await runEscapeHatch(t, { repository, masterKey, databaseId: "ad-test", superuser: "postgres" });
      assert.equal(hatch.exitCode, 1);
      assert.ok(hatch.output.includes(`STOP: ${live} exists here`), hatch.output);
    });
  },
);
