import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import * as fc from "fast-check";
import { newObjectId } from "../core/ids.ts";
import { WAL_SEGMENT_SIZE_DEFAULT, parseLsn, segmentName, toLsn, toTimelineId, toWalSegmentSize } from "../core/lsn.ts";
import { systemClock } from "../core/clock.ts";
import { openMemoryStore } from "../storage/memory-store.ts";
import { type PhysicalArchive, openPhysicalArchive } from "./physical-archive.ts";
import { type WalPiece, gapKey, historyKey, parseLineageKey, walPieceKey } from "./physical-layout.ts";
import { openRepository } from "./repository.ts";
import { readHistory, readWalPiece, storeHistory, storeWalPiece } from "./wal-archive.ts";
import { contiguousBytes, isWalStored, readWalInventory, storedUntil } from "./wal-inventory.ts";
import { planSegment, readSegment } from "./wal-segment.ts";

const lineage = newObjectId(new Date());
const timeline = toTimelineId(1);
const segmentSize = toWalSegmentSize(1024 * 1024);
const segment = segmentName(timeline, parseLsn("0/300000"), segmentSize);
const bytes = randomBytes(segmentSize);

async function openArchive(): Promise<PhysicalArchive> {
  const identity = await generateX25519Identity();
  return openPhysicalArchive({
    repository: await openRepository(openMemoryStore(systemClock), { create: { id: "test", now: new Date() } }),
    databaseId: "ad-test",
    recipients: [await identityToRecipient(identity)],
    identity,
    framesInFlight: 2,
  });
}

async function store(archive: PhysicalArchive, from: number, to: number, content = bytes): Promise<WalPiece> {
  return storeWalPiece(archive, { lineage, timeline, segment, from, to }, () => chunks(content.subarray(from, to)));
}

async function* chunks(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 50_000) yield content.subarray(at, at + 50_000);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) parts.push(chunk);
  return Buffer.concat(parts);
}

test("storeWalPiece() proves the bytes by the name, and takes the same bytes twice", async () => {
  const archive = await openArchive();
  const first = await store(archive, 0, 70_000);
  assert.deepEqual(await store(archive, 0, 70_000), first);
  assert.deepEqual(await collect(readWalPiece(archive, first)), bytes.subarray(0, 70_000));
  await assert.rejects(collect(readWalPiece(archive, { ...first, to: 69_999 })), { code: "object_not_found" });
  const other = await store(archive, 100, 200);
  await archive.store.put(
    walPieceKey(archive.prefix, first),
    await collect(archive.store.get(walPieceKey(archive.prefix, other))),
    { overwrite: true },
  );
  await assert.rejects(collect(readWalPiece(archive, first)), { code: "object_corrupt" });
});

test("R11: readSegment() puts pieces together by offset, whatever their order and overlap", async () => {
  const archive = await openArchive();
  const pieces = [
    await store(archive, 400_000, segmentSize),
    await store(archive, 0, 100_000),
    await store(archive, 50_000, 300_000),
    await store(archive, 300_000, 410_000),
  ];
  assert.deepEqual(await collect(readSegment(archive, pieces)), bytes);
  // A hole ends what is readable.
  const holed = pieces.filter(({ from }) => from !== 300_000);
  assert.deepEqual(await collect(readSegment(archive, holed)), bytes.subarray(0, 300_000));
});

test("R11: readSegment() refuses pieces that contradict each other", async () => {
  const archive = await openArchive();
  const other = Buffer.from(bytes);
  other[60_000] = (other[60_000] ?? 0) ^ 1;
  const pieces = [await store(archive, 0, 100_000), await store(archive, 50_000, 300_000, other)];
  await assert.rejects(collect(readSegment(archive, pieces)), { code: "object_corrupt" });
});

test("planSegment() covers exactly what contiguousBytes() counts", () => {
  const ranges = fc
    .array(fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 40 })), { maxLength: 12 })
    .map((list) => list.map(([from, length]) => ({ lineage, timeline, segment, from, to: from + length, mac: "" })));
  fc.assert(
    fc.property(ranges, (pieces) => {
      let end = 0;
      for (const { piece, takeFrom } of planSegment(pieces)) {
        assert.equal(takeFrom, end);
        assert.ok(piece.from <= takeFrom && piece.to > takeFrom);
        end = piece.to;
      }
      assert.equal(end, contiguousBytes(pieces));
      for (const piece of pieces) assert.ok(!(piece.from <= end && piece.to > end));
    }),
  );
});

test("readWalInventory() finds the end of what is stored, and storedUntil() stops at a hole", async () => {
  const archive = await openArchive();
  const at = async (lsn: string, from: number, to: number): Promise<void> => {
    const place = { lineage, timeline, segment: segmentName(timeline, parseLsn(lsn), segmentSize), from, to };
    await storeWalPiece(archive, place, () => chunks(bytes.subarray(from, to)));
  };
  await at("0/300000", 0, segmentSize);
  await at("0/400000", 0, segmentSize);
  await at("0/500000", 0, 1000);
  await at("0/700000", 0, 5000);
  const inventory = await readWalInventory(archive, { lineage, segmentSize });
  assert.deepEqual(inventory.end, { timeline, lsn: parseLsn("0/701388") });
  assert.equal(storedUntil(inventory, timeline, parseLsn("0/312345")), parseLsn("0/5003E8"));
  assert.equal(storedUntil(inventory, timeline, parseLsn("0/700028")), parseLsn("0/701388"));
  assert.equal(storedUntil(inventory, timeline, parseLsn("0/600028")), parseLsn("0/600028"));
  assert.equal(storedUntil(inventory, toTimelineId(2), parseLsn("0/300000")), parseLsn("0/300000"));
});

test("isWalStored() believes a hole only when it finds it again", async () => {
  const archive = await openArchive();
  await store(archive, 0, 1000);
  const range = { timeline, start: parseLsn("0/300028"), stop: parseLsn("0/300300") };
  let listings = 0;
  const missing = (count: number): PhysicalArchive => ({
    ...archive,
    store: {
      ...archive.store,
      async *list(prefix, call) {
        listings += 1;
        for await (const object of archive.store.list(prefix, call)) if (listings > count) yield object;
      },
    },
  });
  assert.ok(await isWalStored(missing(2), { lineage, segmentSize }, range));
  assert.equal(listings, 3);
  listings = 0;
  assert.ok(!(await isWalStored(missing(9), { lineage, segmentSize }, range)));
  assert.ok(!(await isWalStored(archive, { lineage, segmentSize }, { ...range, stop: parseLsn("0/300400") })));
});

test("R3: storeHistory() keeps one history for each timeline and refuses another", async () => {
  const archive = await openArchive();
  const place = { lineage, timeline: toTimelineId(2) };
  const history = await storeHistory(archive, place, "1\t0/3000000\tno recovery target\n", []);
  assert.equal(await readHistory(archive, history), "1\t0/3000000\tno recovery target\n");
  assert.deepEqual(await storeHistory(archive, place, "1\t0/3000000\tno recovery target\n", [history]), history);
  await assert.rejects(storeHistory(archive, place, "1\t0/4000000\tno recovery target\n", [history]), {
    code: "lineage_diverged",
  });
});

test("parseLineageKey() reads every name that is written, and refuses any other", () => {
  const lsns = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(toLsn);
  const timelines = fc.integer({ min: 1, max: 2 ** 32 - 1 }).map(toTimelineId);
  const macs = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((mac) => Buffer.from(mac).toString("hex"));
  const offsets = fc.integer({ min: 0, max: 2 ** 30 });
  fc.assert(
    fc.property(lsns, lsns, timelines, macs, offsets, offsets, (from, to, id, mac, first, second) => {
      const piece = {
        lineage,
        timeline: id,
        segment: segmentName(id, from, WAL_SEGMENT_SIZE_DEFAULT),
        from: first,
        to: second,
        mac,
      };
      assert.deepEqual(parseLineageKey("p", lineage, walPieceKey("p", piece)), { kind: "piece", piece });
      const history = { lineage, timeline: id, mac };
      assert.deepEqual(parseLineageKey("p", lineage, historyKey("p", history)), { kind: "history", history });
      const gap = { lineage, timeline: id, from, to };
      assert.deepEqual(parseLineageKey("p", lineage, gapKey("p", gap)), { kind: "gap", gap });
    }),
  );
  for (const name of ["x", "00000001/x", `00000002/${segment}.00000000-00000001.${"0".repeat(64)}.zst.age`])
    assert.throws(() => parseLineageKey("p", lineage, `p/wal/${lineage}/${name}`), { code: "object_corrupt" });
});
