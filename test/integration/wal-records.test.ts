import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import * as fc from "fast-check";
import {
  type SegmentName,
  type WalSegmentSize,
  advanceLsn,
  formatLsn,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentStart,
  toTimelineId,
  toWalSegmentSize,
} from "../../src/core/lsn.ts";
import { formatTimestamp } from "../../src/core/timestamp.ts";
import { WalRecordReader } from "../../src/postgres/wal/record-reader.ts";
import { type WalFact, readWalFact } from "../../src/postgres/wal/record.ts";
import { makeServerFolder, runProgram, startPostgresServer } from "../harness/postgres-server.ts";

const MIB = 1024 * 1024;
const segmentSize = toWalSegmentSize(MIB);
const server = await startPostgresServer(
  { after },
  { segmentSizeMb: 1, settings: { max_prepared_transactions: "10", track_commit_timestamp: "on" } },
);
const firstSegment = segmentName(
  toTimelineId(1),
  segmentStart(parseLsn(await server.value("select pg_current_wal_flush_lsn()")), segmentSize),
  segmentSize,
);
await makeActivity();
const wal = await readWholeLog(firstSegment);

/** Everything that the reader looks at, and records of every size up to several pages. */
async function makeActivity(): Promise<void> {
  await server.query("select pg_create_physical_replication_slot('keep', true)");
  await server.query("create table item (id bigint primary key, body text, bytes bytea)");
  await server.query("alter table item alter bytes set storage external");
  await server.query("insert into item select n, repeat('x', n % 3000), null from generate_series(1, 3000) n");
  await server.query("insert into item values (0, null, convert_to(repeat('large', 200000), 'UTF8'))");
  await server.query(`do $$ begin for n in 1..300 loop
      begin insert into item values (-n); exception when others then null; end; end loop; end $$`);
  await server.query("begin; insert into item values (100001); prepare transaction 'kept one'");
  await server.query(
    "begin; drop table if exists nothing; insert into item values (100002); prepare transaction 'gone'",
  );
  await server.query("commit prepared 'kept one'");
  await server.query("rollback prepared 'gone'");
  await server.query("begin; insert into item values (100003); rollback");
  await server.query("select pg_switch_wal()");
  await makeServerFolder(join(server.folder, "space"));
  await server.query(`create tablespace extra location '${join(server.folder, "space")}'`);
  await server.query("create table many (a int, b int, c int) tablespace extra");
  await server.query("create index on many (a); create index on many (b); create index on many (c)");
  await server.query("drop table many");
  await server.stop();
  // A setting of a standby's concern is written to the log at the next start.
  await server.start(["-c", "max_connections=120"]);
  await server.query("insert into item values (100004)");
  await server.query("checkpoint");
}

interface WholeLog {
  readonly start: SegmentName;
  readonly end: SegmentName;
  readonly bytes: Buffer;
}

async function readWholeLog(start: SegmentName): Promise<WholeLog> {
  const end = segmentName(
    toTimelineId(1),
    parseLsn(await server.value("select pg_current_wal_flush_lsn()")),
    segmentSize,
  );
  const parts: Buffer[] = [];
  let at = parseSegmentName(start, segmentSize).start;
  while (segmentName(toTimelineId(1), at, segmentSize) <= end) {
    const name = segmentName(toTimelineId(1), at, segmentSize);
    parts.push(await readFile(join(server.dataFolder, "pg_wal", name)));
    at = advanceLsn(at, segmentSize);
  }
  return { start, end, bytes: Buffer.concat(parts) };
}

interface Seen {
  readonly records: { lsn: string; rmgr: number; xid: number }[];
  readonly facts: WalFact[];
  readonly reader: WalRecordReader;
}

function read(bytes: Buffer, cuts: Iterable<number>, size: WalSegmentSize = segmentSize): Seen {
  const seen: Omit<Seen, "reader"> = { records: [], facts: [] };
  const origin = parseSegmentName(wal.start, size).start;
  const reader = new WalRecordReader(origin, size, (record) => {
    seen.records.push({ lsn: formatLsn(record.start), rmgr: record.rmgr, xid: record.xid });
    const fact = readWalFact(record);
    if (fact !== undefined) seen.facts.push(fact);
  });
  let from = 0;
  for (const cut of cuts) {
    reader.push(Buffer.from(bytes.subarray(from, from + cut)));
    from += cut;
  }
  reader.push(bytes.subarray(from));
  return { ...seen, reader };
}

interface DumpedRecord {
  readonly manager: string;
  readonly xid: number;
  readonly lsn: string;
  readonly description: string;
}

async function dumpWithPostgres(): Promise<DumpedRecord[]> {
  const text = await runProgram("pg_waldump", ["-p", join(server.dataFolder, "pg_wal"), wal.start, wal.end], {
    TZ: "UTC",
  }).catch((error: unknown) => {
    // It ends with an error where the log ends, after it has printed everything.
    if (error instanceof Error && "stdout" in error && typeof error.stdout === "string") return error.stdout;
    throw error;
  });
  const pattern = /^rmgr: (\S+)\s+len .*, tx:\s+(\d+), lsn: ([0-9A-F]+\/[0-9A-F]+), prev [^,]+, desc: (.*)$/;
  return text.split("\n").flatMap((line) => {
    const [, manager, xid, lsn, description] = pattern.exec(line) ?? [];
    if (!manager || !xid || !lsn) return [];
    return [{ manager, xid: Number(xid), lsn: formatLsn(parseLsn(lsn)), description: description ?? "" }];
  });
}

test("WalRecordReader finds exactly the records that pg_waldump prints", async () => {
  const expected = await dumpWithPostgres();
  const { records } = read(wal.bytes, []);
  assert.ok(expected.length > 5000);
  assert.deepEqual(
    records.map(({ lsn, xid }) => ({ lsn, xid })),
    expected.map(({ lsn, xid }) => ({ lsn, xid })),
  );
});

test("readWalFact() tells every end of a transaction, with its time and xid, as pg_waldump does", async () => {
  const expected = (await dumpWithPostgres())
    .filter(({ manager, description }) => manager === "Transaction" && /^(COMMIT|ABORT)/.test(description))
    .map(({ lsn, xid, description }) => {
      const match = /^(COMMIT|ABORT)(_PREPARED (\d+):)? (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) UTC/.exec(description);
      const [, outcome, prepared, preparedXid, day, time] = match ?? [];
      return {
        lsn,
        outcome: `${outcome?.toLowerCase()}${prepared === undefined ? "" : " prepared"}`,
        xid: preparedXid === undefined ? xid : Number(preparedXid),
        time: `${day}T${time}Z`,
      };
    });
  const ends = read(wal.bytes, []).facts.flatMap((fact) =>
    fact.kind === "transaction end"
      ? [{ lsn: formatLsn(fact.start), outcome: fact.outcome, xid: fact.xid, time: formatTimestamp(fact.time) }]
      : [],
  );
  assert.deepEqual(ends, expected);
  assert.deepEqual(
    new Set(ends.map(({ outcome }) => outcome)),
    new Set(["commit", "abort", "commit prepared", "abort prepared"]),
  );
});

test("readWalFact() tells prepared transactions, tablespaces and changed parameters", () => {
  const { facts } = read(wal.bytes, []);
  const prepared = facts.flatMap((fact) => (fact.kind === "transaction prepared" ? [fact] : []));
  assert.deepEqual(
    prepared.map(({ gid }) => gid),
    ["kept one", "gone"],
  );
  const ended = facts.flatMap((fact) =>
    fact.kind === "transaction end" && fact.outcome.endsWith("prepared") ? [fact.xid] : [],
  );
  assert.deepEqual(
    prepared.map(({ xid }) => xid),
    ended,
  );
  const spaces = facts.flatMap((fact) => (fact.kind === "tablespace created" ? [fact.path] : []));
  assert.deepEqual(spaces, [join(server.folder, "space")]);
  const parameters = facts.flatMap((fact) => (fact.kind === "parameters changed" ? [fact.minimums] : []));
  assert.equal(parameters.at(-1)?.maxConnections, 120);
  assert.equal(parameters.at(-1)?.maxPreparedTransactions, 10);
});

test("WalRecordReader finds the same records however the bytes are cut", () => {
  const part = wal.bytes.subarray(0, 2 * MIB);
  const whole = read(part, []).records;
  assert.ok(whole.length > 1000);
  const cuts = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 20_000 })));
  fc.assert(
    fc.property(cuts, (sizes) => {
      const list: number[] = [];
      let total = 0;
      for (const size of sizes) {
        if (total + size > part.length || list.length > 20_000) break;
        list.push(size);
        total += size;
      }
      assert.deepEqual(read(part, list).records, whole);
    }),
    { numRuns: 15 },
  );
});

test("WalRecordReader stops where the log ends, and says why", async () => {
  const { reader } = read(wal.bytes, []);
  const flushed = parseLsn(await server.value("select pg_current_wal_flush_lsn()"));
  assert.equal(formatLsn(reader.validEnd), formatLsn(flushed));
  assert.ok(reader.end !== undefined);
});

test("WalRecordReader never passes a flipped bit", () => {
  const part = wal.bytes.subarray(0, MIB);
  const whole = read(part, []).records;
  fc.assert(
    fc.property(fc.nat(MIB / 8192 - 1), fc.integer({ min: 40, max: 8191 }), fc.nat(7), (page, inPage, bit) => {
      const at = page * 8192 + inPage;
      const damaged = Buffer.from(part);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
      const { records, reader } = read(damaged, []);
      // In a record: the log ends before it. In padding: it changes nothing.
      assert.deepEqual(records, whole.slice(0, records.length));
      if (records.length < whole.length) assert.ok(reader.end !== undefined);
    }),
    { numRuns: 60 },
  );
});
