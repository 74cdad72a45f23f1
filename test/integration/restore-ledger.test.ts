import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Client } from "pg";
import { type Lsn, formatLsn, parseLsn } from "../../src/core/lsn.ts";
import { type TimestampUs, formatTimestamp, parseTimestamp } from "../../src/core/timestamp.ts";
import type { BaseBackupManifest } from "../../src/repository/base-backup-set.ts";
import type { RestorePlan } from "../../src/restore/plan.ts";
import type { ReplayTarget } from "../../src/restore/target-request.ts";
import { parseTarget } from "../../src/restore/target-text.ts";
import { BackedUpServer } from "../harness/backed-up-server.ts";
import { isFullRun } from "../harness/full.ts";
import { runProgram, startPostgresServer } from "../harness/postgres-server.ts";
import { plan, restore } from "../harness/restored-server.ts";
import { type CleanUp, makeTempFolder } from "../harness/temp-folder.ts";

const SESSIONS = 4;
const TRANSACTIONS_PER_SESSION = isFullRun ? 400 : 80;
const PLANNED_TARGETS = isFullRun ? 600 : 60;
const RESTORED_TARGETS = isFullRun ? 40 : 3;
const ACCOUNTS = 10;
/** Neither the machine's zone nor a whole hour. */
const ZONE = "Asia/Kathmandu";

const WAL_FILE = /^[0-9A-F]{24}$/;
const TRANSACTION_LINE =
  /^rmgr: Transaction\s+len .*, tx:\s+(\d+), lsn: ([0-9A-F]+\/[0-9A-F]+), prev [^,]+, desc: (.*)$/;
const STAMP = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) UTC/;

/** One row that a session wrote. */
interface WrittenRow {
  readonly key: string;
  readonly xid: number;
  /** Written in a savepoint that was rolled back. */
  readonly isTakenBack: boolean;
}

/** One end of a transaction, or one prepared, as pg_waldump tells them in the log's order. */
interface LogEntry {
  readonly kind: "commit" | "abort" | "prepare";
  readonly lsn: Lsn;
  readonly xid: number;
  readonly time: TimestampUs;
}

/** What a copy has to hold. */
interface Truth {
  readonly lastEnd: LogEntry | undefined;
  readonly firstLater: LogEntry | undefined;
  readonly committed: ReadonlySet<number>;
}

const cleanUps: (() => Promise<void>)[] = [];
const written: WrittenRow[] = [];
let scene: BackedUpServer;
let backup: BaseBackupManifest;
let oid: string;
let log: readonly LogEntry[];
/** Of the entries that can be asked for: those after the base backup. */
let within: readonly LogEntry[];

/** Numbers that look random, the same each time for a seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Sessions that move amounts between accounts and write what they do into the ledger, in every way that a transaction can go. */
async function writeLedger(session: number): Promise<void> {
  const random = randomNumbers(session + 1);
  const client = new Client(scene.server.client());
  await client.connect();
  try {
    for (let number = 0; number < TRANSACTIONS_PER_SESSION; number++)
      await writeTransaction(client, { name: `${session}-${number}`, random });
  } finally {
    await client.end();
  }
}

async function writeTransaction(
  client: Client,
  { name, random }: { readonly name: string; readonly random: (below: number) => number },
): Promise<void> {
  await client.query("begin");
  const { rows } = await client.query<{ xid: string }>("select pg_current_xact_id()::text as xid");
  const xid = Number(rows[0]?.xid);
  const write = async (key: string, isTakenBack: boolean): Promise<void> => {
    await client.query("insert into entries values ($1, $2)", [key, xid]);
    written.push({ key, xid, isTakenBack });
  };
  await write(`${name}-first`, false);
  const savepoint = random(3);
  if (savepoint > 0) {
    await client.query("savepoint inner_part");
    await write(`${name}-inner`, savepoint === 1);
    await client.query(savepoint === 1 ? "rollback to savepoint inner_part" : "release savepoint inner_part");
  }
  const [from, amount] = [random(ACCOUNTS), random(100)];
  // In one order, so that no two sessions wait for each other.
  for (const [account, change] of [
    [from, -amount],
    [(from + 1) % ACCOUNTS, amount],
  ].toSorted(([first = 0], [second = 0]) => first - second))
    await client.query("update accounts set balance = balance + $2 where id = $1", [account, change]);
  // Into the tablespace.
  await client.query("insert into elsewhere values (nextval('elsewhere_numbers'))");
  await endTransaction(client, name, random(10));
}

/** Most commit; some are prepared before, and some of those outlive others. */
async function endTransaction(client: Client, name: string, way: number): Promise<void> {
  if (way === 0) return void (await client.query("rollback"));
  if (way > 2) return void (await client.query("commit"));
  await client.query(`prepare transaction '${name}'`);
  await client.query(`${way === 1 ? "commit" : "rollback"} prepared '${name}'`);
}

/** PostgreSQL's own reader of the log is the oracle. */
async function readLog(lastFile: string): Promise<readonly LogEntry[]> {
  const folder = join(scene.server.dataFolder, "pg_wal");
  const files = (await readdir(folder)).filter((name) => WAL_FILE.test(name)).toSorted();
  const text = await runProgram("pg_waldump", ["--path", folder, "--rmgr=Transaction", files[0] ?? "", lastFile], {
    TZ: "UTC",
  }).catch((error: unknown) => {
    // It ends with an error where the log ends, after it has printed everything.
    if (error instanceof Error && "stdout" in error && typeof error.stdout === "string") return error.stdout;
    throw error;
  });
  return text.split("\n").flatMap((line): LogEntry[] => {
    const [, headerXid, lsn, description = ""] = TRANSACTION_LINE.exec(line) ?? [];
    const kind = /^(COMMIT|ABORT|PREPARE)/.exec(description)?.[1]?.toLowerCase();
    if (lsn === undefined || (kind !== "commit" && kind !== "abort" && kind !== "prepare")) return [];
    const [, day, time] = STAMP.exec(description) ?? [];
    const preparedXid = /^(?:COMMIT|ABORT)_PREPARED (\d+):/.exec(description)?.[1];
    const xid = Number(preparedXid ?? headerXid);
    return [{ kind, lsn: parseLsn(lsn), xid, time: parseTimestamp(`${day}T${time}Z`) }];
  });
}

/** What the log's order says of a target. */
function truthOf(target: ReplayTarget): Truth {
  const ends = log.filter(({ kind }) => kind !== "prepare");
  const isExclusive = target.kind !== "latest" && target.isExclusive === true;
  let count = ends.length;
  if (target.kind === "time")
    count = ends.findIndex(({ time }) => (isExclusive ? time >= target.time : time > target.time));
  else if (target.kind === "lsn")
    count = ends.findIndex(({ lsn }) => (isExclusive ? lsn >= target.lsn : lsn > target.lsn));
  else if (target.kind === "xid") count = ends.findIndex(({ xid }) => xid === target.xid) + (isExclusive ? 0 : 1);
  const prefix = count === -1 ? ends : ends.slice(0, count);
  return {
    lastEnd: prefix.at(-1),
    firstLater: ends[prefix.length],
    committed: new Set(prefix.flatMap(({ kind, xid }) => (kind === "commit" ? [xid] : []))),
  };
}

/** Any moment after the base backup, of any kind. */
function randomTarget(random: (below: number) => number): ReplayTarget {
  const entry = within[random(within.length)];
  assert.ok(entry !== undefined);
  const isExclusive = random(2) === 0;
  const kind = random(4);
  if (kind === 0) return { kind: "lsn", lsn: entry.lsn, isExclusive };
  if (kind === 1 && entry.kind !== "prepare") return { kind: "xid", xid: entry.xid, isExclusive };
  // Between two stamps as well as exactly at one.
  const time = (kind === 2 ? entry.time : entry.time - BigInt(random(5000))) as TimestampUs; // brand
  return time < firstTime() ? { kind: "latest" } : { kind: "time", time, isExclusive };
}

/** From here on a time lies in the window: everything in the base backup's own log is stamped earlier. */
function firstTime(): bigint {
  const stop = parseLsn(backup.stopLsn);
  return log.reduce((latest, { lsn, time }) => (lsn < stop && time > latest ? time : latest), 0n) + 5000n;
}

function describeTarget(target: ReplayTarget): string {
  return JSON.stringify(target, (name, value: unknown) => {
    if (typeof value !== "bigint") return value;
    return name === "lsn" ? formatLsn(value as Lsn) : formatTimestamp(value as TimestampUs); // brands
  });
}

function assertPlanned(planned: RestorePlan, truth: Truth, what: string): void {
  const { lsn, lastCommit } = planned.target;
  const stop = parseLsn(backup.stopLsn);
  const last = truth.lastEnd;
  // Everything up to the last end is in, and nothing from the first later one on.
  if (last !== undefined && last.lsn >= stop) assert.ok(parseLsn(lsn) >= last.lsn, `${what}: ${lsn}`);
  if (truth.firstLater !== undefined) assert.ok(parseLsn(lsn) < truth.firstLater.lsn, `${what}: ${lsn}`);
  if (lastCommit?.xid !== undefined && lastCommit.xid !== null)
    assert.ok(truth.committed.has(lastCommit.xid), `${what}: ${lastCommit.xid}`);
}

async function spaces(cleanUp: CleanUp): Promise<ReadonlyMap<string, string>> {
  return new Map([[oid, join(await makeTempFolder(cleanUp), "space")]]);
}

/** Restores, starts the copy, and compares all that it holds with what the log's order says. */
async function assertRestores(t: CleanUp, target: ReplayTarget): Promise<void> {
  const what = describeTarget(target);
  const truth = truthOf(target);
  const { folder, plan: planned } = await restore(t, scene.archive, { target, tablespaces: await spaces(t) });
  assertPlanned(planned, truth, what);
  const copy = await startPostgresServer(t, { dataFolder: folder, settings: { max_prepared_transactions: "20" } });
  const expected = written
    .filter(({ xid, isTakenBack }) => truth.committed.has(xid) && !isTakenBack)
    .map(({ key }) => key)
    .toSorted();
  const rows = await copy.query<{ key: string }>("select key from entries");
  assert.deepEqual(rows.map(({ key }) => key).toSorted(), expected, what);
  assert.equal(await copy.value("select sum(balance)::text from accounts"), "0", what);
  assert.equal(await copy.value("select count(*)::text from fleeting"), "0", what);
  const lsn = parseLsn(planned.target.lsn);
  const ended = new Set(log.flatMap((entry) => (entry.kind !== "prepare" && entry.lsn <= lsn ? [entry.xid] : [])));
  const open = log.filter((entry) => entry.kind === "prepare" && entry.lsn <= lsn && !ended.has(entry.xid));
  const prepared = await copy.query<{ xid: string }>("select transaction::text as xid from pg_prepared_xacts");
  const byNumber = (first: number, second: number): number => first - second;
  assert.deepEqual(
    prepared.map(({ xid }) => Number(xid)).toSorted(byNumber),
    open.map(({ xid }) => xid).toSorted(byNumber),
    what,
  );
  assert.deepEqual(
    planned.prepared.map(({ xid }) => xid).toSorted(byNumber),
    open.map(({ xid }) => xid).toSorted(byNumber),
  );
  await copy.stop();
}

suite("a ledger under load", () => {
  before(async () => {
    scene = await BackedUpServer.open({ after: (clean) => void cleanUps.push(clean) });
    const { server } = scene;
    await server.query("alter system set timezone = 'America/St_Johns'");
    await server.query("select pg_reload_conf()");
    await server.query("create table entries (key text primary key, xid bigint)");
    await server.query("create sequence elsewhere_numbers start 10001");
    await server.query("create table accounts (id int primary key, balance bigint)");
    await server.query(`insert into accounts select n, 0 from generate_series(0, ${ACCOUNTS - 1}) n`);
    await Promise.all([0, 1].map(writeLedger));
    backup = await scene.backUp();
    oid = await server.value("select oid::text from pg_tablespace where spcname = 'extra'");
    const sessions = Array.from({ length: SESSIONS }, (_, session) => writeLedger(session + 10));
    // One that stays open over many targets.
    const client = new Client(server.client());
    await client.connect();
    await client.query("begin");
    await client.query("insert into entries values ('kept open', 0)");
    await client.query("prepare transaction 'kept open'");
    await client.end();
    await Promise.all(sessions);
    await server.query("rollback prepared 'kept open'");
    const lastFile = await server.value("select pg_walfile_name(pg_current_wal_insert_lsn())");
    await server.query("select pg_switch_wal()");
    await scene.wal.store();
    log = await readLog(lastFile);
    const stop = parseLsn(backup.stopLsn);
    within = log.filter(({ lsn }) => lsn > stop);
    assert.ok(within.length > SESSIONS * TRANSACTIONS_PER_SESSION);
    for (const kind of ["commit", "abort", "prepare"]) assert.ok(within.some((entry) => entry.kind === kind));
  });
  after(async () => {
    for (const clean of cleanUps.toReversed()) await clean();
  });

  test("R8: prepareRestore() finds for any moment the last record that PostgreSQL's own reader of the log names", async (t) => {
    const seed = isFullRun ? Date.now() % 1_000_000 : 7;
    t.diagnostic(`seed ${seed}`);
    const random = randomNumbers(seed);
    const tablespaces = await spaces(t);
    const folder = join(await makeTempFolder(t), "data");
    for (let count = 0; count < PLANNED_TARGETS; count++) {
      const target = randomTarget(random);
      const { plan: planned } = await plan(t, scene.archive, { target, tablespaces, folder });
      assertPlanned(planned, truthOf(target), describeTarget(target));
    }
  });

  test("R5, R8: executeRestore() brings back what the log's order says, and nothing after it", async (t) => {
    const seed = isFullRun ? Date.now() % 1_000_000 : 23;
    t.diagnostic(`seed ${seed}`);
    const random = randomNumbers(seed);
    for (let count = 0; count < RESTORED_TARGETS; count++) await assertRestores(t, randomTarget(random));
  });

  test("executeRestore() takes a local time of a foreign zone, to the microsecond", async (t) => {
    const commits = within.filter(({ kind, time }) => kind === "commit" && time > firstTime());
    const entry = commits[Math.floor(commits.length / 2)];
    assert.ok(entry !== undefined);
    const local = Temporal.Instant.from(formatTimestamp(entry.time)).toZonedDateTimeISO(ZONE).toPlainDateTime();
    const target = parseTarget(`${local.toString()} ${ZONE}`);
    assert.deepEqual(target, { kind: "time", time: entry.time });
    await assertRestores(t, { kind: "time", time: entry.time });
  });
});
