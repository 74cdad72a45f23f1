import assert from "node:assert/strict";
import { test } from "node:test";
import { SUPERVISOR_LIMITS, restartDelayMs } from "./supervisor.ts";

test("restartDelayMs() doubles with each failure in a row, up to the limit", () => {
  const delays = [1, 2, 3, 4, 7, 1000].map((failures) => restartDelayMs(failures, SUPERVISOR_LIMITS));
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 60_000, 60_000]);
});
