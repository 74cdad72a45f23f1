import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { Client } from "pg";
import { isRecord, startPlatform, waitFor } from "../harness/platform.ts";

const platform = await startPlatform({ after });
const database = await platform.provision("shop");

interface Window {
  readonly earliest: string | null;
  readonly latest: string | null;
  readonly baseBackups: number;
  readonly state: string;
}

async function readWindow(): Promise<Window> {
  const { body } = await platform.api("GET", `/api/databases/${database.addonId}/pitr/recovery_window`);
  const window = isRecord(body) && isRecord(body["recovery_window"]) ? body["recovery_window"] : {};
  const stream = isRecord(window["stream"]) ? window["stream"] : {};
  const instant = (value: unknown): string | null => (typeof value === "string" ? value : null);
  return {
    earliest: instant(window["earliest_recoverable_at"]),
    latest: instant(window["latest_recoverable_at"]),
    baseBackups: Number(window["base_backups"]),
    state: String(stream["state"]),
  };
}

async function query(text: string): Promise<Record<string, unknown>[]> {
  // The URI prefers TLS, and `pg` would check the certificate: the path to the server is this machine's own.
  const client = new Client({ connectionString: database.uri.replace("sslmode=prefer", "sslmode=disable") });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const physicalFolder = join(platform.home, "repository", "databases", database.addonId, "physical");

async function storedFiles(): Promise<string[]> {
  const entries = await readdir(physicalFolder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

test("a new database is backed up continuously with nothing configured", async () => {
  await waitFor(async () => (await readWindow()).latest !== null, "a recovery window");
  const { earliest, latest, state, baseBackups } = await readWindow();
  assert.equal(baseBackups, 1);
  assert.equal(state, "streaming");
  assert.ok(earliest !== null && latest !== null && earliest <= latest);
  assert.match(latest, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test("the window's end passes a commit within seconds, with its log in the repository", async () => {
  await query("create table ledger (id bigint generated always as identity primary key, note text)");
  const [row] = await query(
    `insert into ledger (note) values ('hello')
     returning to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
  );
  const committedAfter = String(row?.["at"]);
  await waitFor(
    async () => ((await readWindow()).latest ?? "") > committedAfter,
    "a window that holds the commit",
    30_000,
  );
  const pieces = (await storedFiles()).filter((name) => /^[0-9A-F]{24}\./.test(name));
  assert.ok(pieces.length > 0);
});

test("the window never goes back when the platform is stopped or killed, and goes on after its start", async () => {
  const before = (await readWindow()).latest ?? "";
  await platform.kill();
  await platform.start();
  assert.ok(((await readWindow()).latest ?? "") >= before);
  await waitFor(async () => ((await readWindow()).latest ?? "") > before, "a window that goes on", 60_000);
  assert.equal((await readWindow()).baseBackups, 1);
});

test("a platform that starts asks for the size, and keeps how lag and size go", async () => {
  const path = `/api/databases/${database.addonId}`;
  const size = async (): Promise<unknown> => {
    const { body } = await platform.api("GET", path);
    return isRecord(body) && isRecord(body["database"]) ? body["database"]["size"] : undefined;
  };
  const lags = async (): Promise<unknown[]> => {
    const { body } = await platform.api("GET", `${path}/samples`);
    const samples = isRecord(body) && Array.isArray(body["samples"]) ? body["samples"] : [];
    return samples.map((sample) => (isRecord(sample) ? sample["lag_seconds"] : undefined));
  };
  await waitFor(async () => typeof (await size()) === "number", "a size", 90_000);
  const [row] = await query("select pg_database_size(current_database())::float8 as size");
  assert.ok(Math.abs(Number(await size()) - Number(row?.["size"])) < 5_000_000, `${String(await size())} bytes`);
  await waitFor(async () => (await lags()).some((lag) => typeof lag === "number"), "a sample of the lag", 90_000);
});

test("database-pitr-recovery-window shows the window", async () => {
  const shown = await platform.runOk(["--app", "shop", "--addon", "postgresql", "database-pitr-recovery-window"]);
  assert.match(shown, /\| Earliest recoverable at \| \d{4}-/);
  assert.match(shown, /\| Latest recoverable at +\| \d{4}-/);
  assert.match(shown, /\| Write-ahead log +\| streaming/);
});

test("database-pitr-config chooses between the database and the chain, and the running server takes it up", async () => {
  const setting = async (): Promise<unknown> =>
    (await query("show max_slot_wal_keep_size"))[0]?.["max_slot_wal_keep_size"];
  assert.notEqual(await setting(), "-1");
  const command = ["--app", "shop", "--addon", "postgresql", "database-pitr-config", "--protect"];
  await platform.runOk([...command, "chain"]);
  await waitFor(async () => (await setting()) === "-1", "a server that keeps all its log");
  await platform.runOk([...command, "database"]);
  await waitFor(async () => (await setting()) !== "-1", "a server that bounds its log");
  assert.equal((await platform.run([...command, "nothing"])).exitCode, 2);
});

test("removing the database removes its continuous backups and keeps the logical ones", async () => {
  await platform.runOk(["--app", "shop", "--addon", "postgresql", "backups-create"]);
  assert.ok((await storedFiles()).length > 0);
  await platform.runOk(["--app", "shop", "addons-remove", database.addonId, "--force"]);
  await waitFor(async () => (await storedFiles()).length === 0, "an empty folder of continuous backups");
  const logical = join(platform.home, "repository", "databases", database.addonId, "logical", "manifests");
  assert.equal((await readdir(logical)).length, 1);
});
