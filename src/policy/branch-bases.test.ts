import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lsn } from "../core/lsn.ts";
import { type BranchBase, type KnownBranch, basesOfBranches } from "./branch-bases.ts";

const DAY_MS = 24 * 3600_000;
const day = (number: number): Date => new Date(Date.UTC(2026, 5, 1) + number * DAY_MS);

function base(id: string, timeline: number, at: { day: number; lsn: bigint }): BranchBase {
  const stopLsn = at.lsn as Lsn; // brand
  return { id, lineage: "L", timeline, stopLsn, finishedAt: day(at.day), isRestorable: true };
}

function branch(timeline: number, parent: number, lsn: bigint, leftAt: Date | null = null): KnownBranch {
  return { lineage: "L", timeline, parent, at: lsn as Lsn /* brand */, leftAt };
}

const BASES = [
  base("early", 1, { day: 0, lsn: 100n }),
  base("later", 1, { day: 7, lsn: 800n }),
  base("own", 2, { day: 9, lsn: 520n }),
];

test("basesOfBranches() keeps the way to a branch's first moments until its own base backup is the window's first", () => {
  const facts = { branches: [branch(2, 1, 500n)], bases: BASES };
  assert.deepEqual([...basesOfBranches(facts, day(8))], ["early"]);
  assert.deepEqual([...basesOfBranches(facts, day(9))], []);
});

test("basesOfBranches() goes through the branches that a branch came from", () => {
  const facts = { branches: [branch(2, 1, 500n, day(9)), branch(3, 2, 510n)], bases: BASES };
  assert.deepEqual([...basesOfBranches(facts, day(10))], ["early"]);
});

test("basesOfBranches() needs nothing for a branch that was left before the window", () => {
  const facts = { branches: [branch(2, 1, 500n, day(4))], bases: BASES };
  assert.deepEqual([...basesOfBranches(facts, day(5))], []);
});

test("basesOfBranches() takes the newest one that lies before the switch", () => {
  const facts = { branches: [branch(2, 1, 900n)], bases: BASES };
  assert.deepEqual([...basesOfBranches(facts, day(8))], ["later"]);
});
