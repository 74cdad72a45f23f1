import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { forEachParallel } from "./parallel.ts";

suite("forEachParallel()", () => {
  test("does everything once, and no more at a time than it may", async () => {
    const done: number[] = [];
    let running = 0;
    let most = 0;
    await forEachParallel([1, 2, 3, 4, 5], { limit: 2 }, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      done.push(item);
    });
    assert.deepEqual([done.toSorted((a, b) => a - b), most], [[1, 2, 3, 4, 5], 2]);
  });

  test("ends the others when one fails, begins no more, and throws the first failure", async () => {
    const begun: number[] = [];
    const work = forEachParallel([1, 2, 3], { limit: 2 }, async (item, signal) => {
      begun.push(item);
      if (item === 1) throw new Error("first");
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("second"))));
    });
    await assert.rejects(work, /first/);
    assert.deepEqual(begun, [1, 2]);
  });

  test("begins nothing when it is aborted before", async () => {
    const reason = new Error("stopped");
    await assert.rejects(
      forEachParallel([1], { limit: 1, signal: AbortSignal.abort(reason) }, () => assert.fail()),
      reason,
    );
    await forEachParallel([], { limit: 1 }, () => assert.fail());
  });
});
