import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "./clock.ts";
import { repeat } from "./repeat.ts";

test("repeat() goes on after a failure, tells of it, and ends with the signal", async () => {
  const ending = new AbortController();
  const failures: unknown[] = [];
  let runs = 0;
  await repeat(
    async () => {
      runs += 1;
      if (runs === 2) throw new Error("once");
      if (runs === 4) ending.abort();
    },
    { clock: systemClock, intervalMs: 1, signal: ending.signal, onFailure: (thrown) => failures.push(thrown) },
  );
  assert.equal(runs, 4);
  assert.equal(failures.length, 1);
});

test("repeat() says nothing of a run that the signal cut short, and does nothing after it", async () => {
  const ending = new AbortController();
  const repetition = {
    clock: systemClock,
    intervalMs: 1,
    signal: ending.signal,
    onFailure: () => assert.fail("told of"),
  };
  let runs = 0;
  const work = async (): Promise<void> => {
    runs += 1;
    ending.abort();
    throw new Error("cut short");
  };
  await repeat(work, repetition);
  await repeat(work, repetition);
  assert.equal(runs, 1);
});
