import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteBudget } from "./byte-budget.ts";

test("ByteBudget.spend() never lets more run at once than the budget holds, and lets all run", async (t) => {
  const budget = new ByteBudget(100);
  let used = 0;
  let most = 0;
  let done = 0;
  const sizes = [60, 50, 40, 100, 1, 99, 500, 30, 30, 30];
  await Promise.all(
    sizes.map((size) =>
      budget.spend(size, t.signal, async () => {
        used += Math.min(size, 100);
        most = Math.max(most, used);
        await new Promise((resolve) => setImmediate(resolve));
        used -= Math.min(size, 100);
        done += 1;
      }),
    ),
  );
  assert.equal(done, sizes.length);
  assert.ok(most <= 100 && most > 60);
});

test("ByteBudget.spend() gives the bytes back when the work fails, and stops waiting when the signal aborts", async (t) => {
  const budget = new ByteBudget(10);
  await assert.rejects(
    budget.spend(10, t.signal, () => Promise.reject(new Error("broken"))),
    /broken/,
  );
  const { promise, resolve } = Promise.withResolvers<void>();
  const running = budget.spend(10, t.signal, () => promise);
  const abort = new AbortController();
  const waiting = budget.spend(1, abort.signal, () => Promise.resolve());
  abort.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  resolve();
  await running;
});
