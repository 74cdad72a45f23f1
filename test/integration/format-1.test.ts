import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { unwrapDatabaseKey } from "../../src/keys/database-key.ts";
import { openMasterKey } from "../../src/keys/master-key.ts";
import { listDatabaseIds, readDatabaseKey } from "../../src/repository/database-keys.ts";
import { openLogicalArchive } from "../../src/repository/logical-archive.ts";
import { listLogicalBackups } from "../../src/repository/logical-backups.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import { readAll } from "../../src/stream/byte-stream.ts";
import { program } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const LIMIT_BYTES = 1024 * 1024;
const NAME = "20261122144339_my_app_4553";
const hasTools = await Promise.all(["age", "zstd"].map((tool) => run(tool, ["--version"]))).then(
  () => true,
  () => false,
);

// A copy: opening a store makes folders, and version control doesn't keep the modes of the key.
const folder = await makeTempFolder({ after });
await cp(join(import.meta.dirname, "../fixtures/format-1"), folder, { recursive: true });
await chmod(join(folder, "keys/master.age-identity"), 0o600);

test("a repository of format 1 is listed, checked and read with its store and master key alone", async () => {
  const repository = await openRepository(await openFolderStore(join(folder, "repository")));
  const master = await openMasterKey({ folder: join(folder, "keys"), mayCreate: false, now: new Date() });
  const [databaseId = ""] = await Array.fromAsync(listDatabaseIds(repository));
  const wrapped = await readDatabaseKey(repository, databaseId);
  assert.ok(wrapped !== undefined);
  const identity = await unwrapDatabaseKey(master, databaseId, wrapped);

  const [entry] = await Array.fromAsync(listLogicalBackups(repository, databaseId, identity));
  assert.ok(entry?.manifest !== undefined);
  const { manifest } = entry;
  assert.deepEqual(manifest, JSON.parse(await readFile(join(folder, "expected-manifest.json"), "utf8")));

  const reader = await openLogicalArchive(repository, manifest, identity);
  const archive = await readAll(reader.read(), LIMIT_BYTES);
  assert.equal(createHash("sha256").update(archive).digest("hex"), manifest.archive.sha256);
  await writeFile(join(folder, reader.fileName), archive);
  await run("tar", ["-xzf", reader.fileName], { cwd: folder });
  const name = reader.fileName.slice(0, -".tar.gz".length);
  const { stdout } = await run(program("pg_restore"), ["--data-only", "--file=-", join(folder, name, `${name}.pgsql`)]);
  assert.match(stdout, /COPY public\.greeting \(id, words\) FROM stdin;\n1\thello\n2\twörld\n/);
});

test(
  "the commands of docs/format.md read a repository without this program",
  { skip: !hasTools && "no age or zstd here" },
  async () => {
    const page = await readFile(join(import.meta.dirname, "../../docs/format.md"), "utf8");
    const commands = /^## \d+\. By hand$[\s\S]*?^```sh\n([\s\S]*?)^```$/m.exec(page)?.[1];
    assert.ok(commands !== undefined, "the page has a block of commands");
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", `cp keys/master.age-identity . && ${commands}`], {
      cwd: folder,
      env: {
        ...process.env,
        DATABASE_ID: "ad-7c9e6679-7425-40de-944b-e07fc1f90ae7",
        BACKUP_ID: "01a203a6e0111ad46fc1145b",
      },
    });
    assert.match(stdout, /01a203a6e0111ad46fc1145b\.json\.zst\.age/);
    assert.match(stdout, /"format":"tidemark-logical"/);
    const dump = await readFile(join(folder, NAME, `${NAME}.pgsql`));
    assert.equal(dump.toString("latin1", 0, 5), "PGDMP");
  },
);
