import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { WAL_SEGMENT_SIZE_DEFAULT, parseLsn, segmentName, toTimelineId } from "../core/lsn.ts";
import { parseTimestamp } from "../core/timestamp.ts";
import { openBranch } from "./branch.ts";
import type { RestoreFacts } from "./facts.ts";
import { type MachineFacts, type PlanFacts, type RestorePlan, planRestore } from "./plan.ts";
import type { ResolvedTarget } from "./target.ts";

const NOW = new Date("2026-11-22T14:00:00Z");
const lineage = newObjectId(NOW);
const timeline = toTimelineId(1);
const minimums = {
  maxConnections: 100,
  maxWorkerProcesses: 8,
  maxWalSenders: 10,
  maxPreparedTransactions: 0,
  maxLocksPerTransaction: 64,
};
const stored = { plainBytes: 3_000_000, plainSha256: "", storedBytes: 1_000_000, storedSha256: "" };

/** A backup with one tablespace, 16400, and three stored segments, the last of which is not needed. */
function makeTarget(change: Partial<ResolvedTarget> = {}): ResolvedTarget {
  const segmentSize = WAL_SEGMENT_SIZE_DEFAULT;
  const segments = new Map(
    ["0/2000000", "0/3000000", "0/4000000"].map((text) => {
      const start = parseLsn(text);
      return [segmentName(timeline, start, segmentSize), { start, pieces: [], contiguousBytes: segmentSize }];
    }),
  );
  const inventory = { lineage, segmentSize, segments, histories: [], gaps: [], end: undefined };
  return {
    branch: openBranch({ lineage, segmentSize, inventory, histories: new Map(), indexes: new Map() }, timeline),
    base: {
      format: 1,
      backupId: lineage,
      lineage,
      systemId: "1",
      serverVersion: 150_018,
      segmentSizeBytes: segmentSize,
      label: "test",
      timeline,
      startLsn: "0/2000028",
      stopTimeline: timeline,
      stopLsn: "0/2000100",
      startedAt: NOW.toISOString(),
      finishedAt: NOW.toISOString(),
      hasChecksums: true,
      minimums,
      tablespaces: [{ oid: "16400", path: "/live/space" }],
      volumes: [{ number: 1, isLast: true, fileCount: 1, ...stored }],
      serverManifest: { ...stored, storedBytes: 500 },
      fileCount: 1,
      dataBytes: 3_000_000,
      suspectPages: { count: 0, named: [] },
    },
    lsn: parseLsn("0/3000100"),
    endLsn: parseLsn("0/3000200"),
    lastCommit: undefined,
    firstLeftOut: undefined,
    tablespacesCreated: [],
    minimums,
    prepared: [],
    notes: [],
    ...change,
  };
}

function planned(
  change: Partial<ResolvedTarget> = {},
  {
    unreadable = [],
    machine = {},
    tablespaces = { "16400": "/new/space" },
    more = {},
  }: {
    unreadable?: RestoreFacts["unreadable"];
    machine?: Partial<MachineFacts>;
    tablespaces?: Record<string, string>;
    more?: Partial<Pick<PlanFacts, "unloggedRelations" | "rates">>;
  } = {},
): RestorePlan {
  const facts = { existingPaths: new Set<string>(), freeDiskBytes: 1e12, availableMemoryBytes: 1e10, ...machine };
  const request = { folder: "/new/data", tablespaces: new Map(Object.entries(tablespaces)) };
  return planRestore(
    { target: makeTarget(change), machine: facts, unreadable, unloggedRelations: 0, ...more },
    request,
    NOW,
  );
}

suite("planRestore()", () => {
  test("counts what is to be fetched, and no segment after the target", () => {
    const plan = planned();
    assert.deepEqual(plan.wal, { segments: 2, bytes: 2 * WAL_SEGMENT_SIZE_DEFAULT });
    assert.equal(plan.fetchBytes, 1_000_500 + 2 * WAL_SEGMENT_SIZE_DEFAULT);
    assert.equal(plan.diskBytes, 3_000_000 + 4 * WAL_SEGMENT_SIZE_DEFAULT);
    assert.deepEqual(plan.target, { lsn: "0/3000100", endLsn: "0/3000200", lastCommit: null, firstLeftOut: null });
  });

  test("is plain data: as JSON it stays the same", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(planned())), planned());
  });

  test("refuses when the disk is too small", () => {
    assert.throws(() => planned({}, { machine: { freeDiskBytes: 1_000_000 } }), { code: "disk_full" });
  });

  test("refuses when the recovering server would have too little memory, which its settings decide", () => {
    const machine = { availableMemoryBytes: 450 * 1024 * 1024 };
    assert.ok(planned({}, { machine }).memoryBytes < machine.availableMemoryBytes);
    const grown = { ...minimums, maxConnections: 5000 };
    assert.throws(() => planned({ minimums: grown }, { machine }), { code: "memory_low" });
  });

  test("estimates the time by the rates of earlier restores, and says so", () => {
    const rates = { fetchBytesPerSecond: 1_000_000, replayBytesPerSecond: WAL_SEGMENT_SIZE_DEFAULT };
    assert.deepEqual(planned({}, { more: { rates } }).estimate, {
      fetchSeconds: 3,
      replaySeconds: 2,
      isMeasured: true,
    });
    assert.equal(planned().estimate.isMeasured, false);
  });

  test("says what the copy will be without", () => {
    const prepared = [
      {
        kind: "transaction prepared",
        start: parseLsn("0/3000000"),
        time: parseTimestamp(NOW.toISOString()),
        xid: 7,
        gid: "x",
      },
    ] as const;
    const { losses } = planned({ prepared }, { more: { unloggedRelations: 3 } });
    assert.match(losses.join("\n"), /3 unlogged tables, indexes and sequences/);
    assert.match(losses.join("\n"), /1 prepared transactions come back open/);
    assert.doesNotMatch(planned().losses.join("\n"), /prepared transactions/);
  });

  test("R4: wants a folder for each tablespace, absolute and its own", () => {
    assert.deepEqual(planned().tablespaces, [
      { oid: "16400", originalPath: "/live/space", folder: "/new/space", origin: "base backup" },
    ]);
    for (const tablespaces of [
      {},
      { "16400": "relative" },
      { "16400": "/new/data" },
      { "16400": "/new/space", "16999": "/new/other" },
    ])
      assert.throws(() => planned({}, { tablespaces }), { code: "restore_refused" }, JSON.stringify(tablespaces));
  });

  test("R4: refuses a tablespace that the log creates where its path exists, and maps it where it doesn't", () => {
    const created = {
      kind: "tablespace created",
      start: parseLsn("0/3000000"),
      oid: "16500",
      path: "/live/later",
    } as const;
    const tablespaces = { "16400": "/new/space", "16500": "/new/later" };
    const existingPaths = new Set(["/live/later"]);
    const change = { tablespacesCreated: [created] };
    assert.throws(() => planned(change, { tablespaces, machine: { existingPaths } }), { code: "restore_refused" });
    assert.throws(() => planned(change), { code: "restore_refused" });
    assert.deepEqual(planned(change, { tablespaces }).tablespaces[1], {
      oid: "16500",
      originalPath: "/live/later",
      folder: "/new/later",
      origin: "write-ahead log",
    });
    const inPlace = { tablespacesCreated: [{ ...created, path: "" }] };
    assert.equal(planned(inPlace).tablespaces.length, 1, "an in-place one lies in the data folder");
  });

  test("says that pages of the base backup are suspect", () => {
    const base = { ...makeTarget().base, suspectPages: { count: 3, named: [] } };
    assert.match(planned({ base }).notes.join(), /^3 pages .* wrong checksum/);
  });

  test("says which backups it could not consider", () => {
    const unreadable = [{ backupId: lineage, error: new TidemarkError("object_corrupt", "Cannot read it") }];
    assert.deepEqual(planned({}, { unreadable }).notes, ["A base backup was left out: Cannot read it"]);
  });
});
