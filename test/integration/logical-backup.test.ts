import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { LOCK_WAIT_TIMEOUT_MS, type LogicalBackupProgress } from "../../src/capture/logical-backup.ts";
import { isErrorCode } from "../../src/core/errors.ts";
import { openLogicalArchive } from "../../src/repository/logical-archive.ts";
import { listLogicalBackups } from "../../src/repository/logical-backups.ts";
import { readAll } from "../../src/stream/byte-stream.ts";
import { code } from "../contract/store.ts";
import { DATABASE_ID, makeCapturePlace } from "../harness/logical-capture.ts";
import { readProcessArguments } from "../harness/process-arguments.ts";
import { makeServerFolder, runProgram, startPostgresServer } from "../harness/postgres-server.ts";
import { describeDatabase, fillRichDatabase } from "../harness/rich-database.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const server = await startPostgresServer({ after });
await server.query("CREATE DATABASE rich");
await fillRichDatabase(server, "rich");
const richConnection = { host: server.folder, port: server.port, user: "postgres", database: "rich" };

test("captureLogicalBackup() takes a backup from which tar and pg_restore bring everything back", async (context) => {
  const place = await makeCapturePlace(context, server);
  const seen: LogicalBackupProgress[] = [];
  const manifest = await place.capture({ connection: richConnection }, { onProgress: (step) => seen.push(step) });

  // The archive, read as a download would.
  const reader = await openLogicalArchive(place.repository, manifest, place.identity);
  const folder = await makeTempFolder(context);
  const archive = join(folder, reader.fileName);
  await pipeline(reader.read(), createWriteStream(archive));
  assert.match(reader.fileName, /^\d{14}_my_app_4553\.tar\.gz$/);
  await run("tar", ["-xzf", archive], { cwd: folder });
  const name = reader.fileName.slice(0, -".tar.gz".length);
  await run("chmod", ["-R", "a+rX", folder]);

  const expected = await describeDatabase(server, "rich");
  assert.ok(Object.keys(expected).length > 12, "the database to compare with is rich");
  await server.query("CREATE DATABASE restored");
  const flags = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--no-comments", "--exit-on-error"];
  await runProgram("pg_restore", [
    ...flags,
    `--dbname=host=${server.folder} port=${server.port} user=postgres dbname=restored`,
    join(folder, name, `${name}.pgsql`),
  ]);
  assert.deepEqual(await describeDatabase(server, "restored"), expected);

  assert.equal(manifest.postgresqlVersion, (await server.value("SHOW server_version")).split(" ")[0]);
  assert.equal(manifest.dump.tablesWithData, 5);
  assert.ok(manifest.dump.entries > manifest.dump.tablesWithData);
  assert.deepEqual(manifest.warnings, []);
  const last = seen.findLast((step) => step.phase === "dumping");
  assert.equal(last?.bytes, manifest.dump.sizeBytes);
  assert.deepEqual([...new Set(seen.map((step) => step.phase))], ["dumping", "verifying", "checking"]);
});

test("captureLogicalBackup() commits what its manifest says, readable with the store and the key alone", async (context) => {
  const place = await makeCapturePlace(context, server);
  const manifest = await place.capture();
  const entries = await Array.fromAsync(listLogicalBackups(place.repository, DATABASE_ID, place.identity));
  assert.deepEqual(entries, [{ backupId: manifest.backupId, manifest }]);
  const stored = await readAll(place.repository.store.get(manifest.archive.key), 1e9);
  assert.equal(createHash("sha256").update(stored).digest("hex"), manifest.archive.storedSha256);
  assert.ok(!stored.includes("PGDMP"), "the dump is not there in the clear");
});

test("captureLogicalBackup() backs up an empty database", async (context) => {
  await server.query("CREATE DATABASE nothing");
  const place = await makeCapturePlace(context, server);
  const manifest = await place.capture({ connection: { ...richConnection, database: "nothing" } });
  assert.equal(manifest.dump.tablesWithData, 0);
});

test("captureLogicalBackup() fails with lock_timeout that names the query in the way, and leaves nothing", async (context) => {
  const place = await makeCapturePlace(context, server);
  await holdOrders(context);
  const capturing = place.capture({ connection: richConnection, lockWaitTimeoutMs: 3_000 });
  await assert.rejects(capturing, (error) => {
    assert.ok(isErrorCode(error, "lock_timeout"), String(error));
    assert.match(error.message, /LOCK TABLE shop\.orders/);
    assert.match(error.message, /user "postgres"/);
    assert.equal(typeof error.details?.["pid"], "number");
    return true;
  });
  assert.deepEqual(await place.keys(), []);
  assert.ok(LOCK_WAIT_TIMEOUT_MS > 3_000);
});

test("captureLogicalBackup() ends pg_dump and its session when it is cancelled, and leaves nothing", async (context) => {
  const place = await makeCapturePlace(context, server);
  const stop = new AbortController();
  const reason = new Error("no more");
  const capturing = place.capture(
    { connection: richConnection },
    { signal: stop.signal, onProgress: () => stop.abort(reason) },
  );
  await assert.rejects(capturing, (error) => error === reason);
  assert.deepEqual(await place.keys(), []);
  await server.waitUntil("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'tidemark-%'");
});

test("captureLogicalBackup() says what it is that fails: no server, no database, no program, a dump that may not read", async (context) => {
  const place = await makeCapturePlace(context, server);
  const nowhere = await makeTempFolder(context);
  await assert.rejects(place.capture({ connection: { ...richConnection, host: nowhere } }), code("server_not_running"));
  await assert.rejects(place.capture({ programsFolder: nowhere }), code("programs_missing"));
  await server.query("CREATE ROLE nobody_special LOGIN");
  const poor = { ...richConnection, user: "nobody_special" };
  await assert.rejects(place.capture({ connection: poor }), (error) => {
    assert.ok(isErrorCode(error, "dump_failed"), String(error));
    assert.match(error.message, /permission denied/);
    return true;
  });
  assert.deepEqual(await place.keys(), []);
});

test("captureLogicalBackup() refuses a backup that is committed already and keeps it", async (context) => {
  const place = await makeCapturePlace(context, server);
  const manifest = await place.capture();
  const before = await place.keys();
  await assert.rejects(place.capture({ backupId: manifest.backupId }), code("object_exists"));
  assert.deepEqual(await place.keys(), before);
});

test("captureLogicalBackup() of a standby warns of the unlogged tables whose rows it lacks", async (context) => {
  await server.query("CREATE UNLOGGED TABLE shop.scratch AS SELECT 1 AS n", undefined, { database: "rich" });
  const folder = await makeTempFolder(context);
  await makeServerFolder(join(folder, "copy"));
  const dataFolder = join(folder, "copy", "data");
  const from = [`--host=${server.folder}`, `--port=${server.port}`, "--username=postgres"];
  await runProgram("pg_basebackup", [
    ...from,
    `--pgdata=${dataFolder}`,
    "--checkpoint=fast",
    "--write-recovery-conf",
    "--no-sync",
  ]);
  const standby = await startPostgresServer(context, { dataFolder });
  const place = await makeCapturePlace(context, standby);
  const manifest = await place.capture({ connection: { ...richConnection, host: standby.folder } });
  assert.deepEqual(manifest.warnings, ["Taken from a standby, so without the rows of unlogged tables: shop.scratch"]);
});

test("captureLogicalBackup() keeps the password out of the process list", async (context) => {
  const place = await makeCapturePlace(context, server);
  const password = "s3cret-Passw0rd";
  // pg_dump waits for the lock, so that it is there to be looked at.
  const release = await holdOrders(context);
  const capturing = place.capture({ connection: { ...richConnection, password } });
  await server.waitUntil(
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'",
  );
  const processes = (await readProcessArguments()).map((line) => line.replaceAll("\0", " "));
  await release();
  await capturing;
  assert.ok(processes.some((line) => line.includes("pg_dump --format=custom")));
  assert.ok(!processes.some((line) => line.includes(password)));
});

/** Locks a table, until the test ends or until what it returns is called. */
async function holdOrders(context: TestContext): Promise<() => Promise<void>> {
  const sql = "BEGIN; LOCK TABLE shop.orders; SELECT pg_sleep(120)";
  const held = server.query(sql, undefined, { database: "rich" }).catch((error: unknown) => error);
  const release = async (): Promise<void> => {
    await server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(120)%' AND pid <> pg_backend_pid()",
    );
    await held;
  };
  context.after(release);
  await server.waitUntil(
    "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation IS NOT NULL",
  );
  return release;
}
