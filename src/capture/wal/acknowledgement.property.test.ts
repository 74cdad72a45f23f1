import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { LSN_ZERO, toLsn } from "../../core/lsn.ts";
import { acknowledge } from "./acknowledgement.ts";

const lsns = fc.bigInt({ min: 1n, max: 20n }).map(toLsn);
const facts = fc.record({ received: lsns, durable: lsns, reported: lsns });

test("acknowledge() never moves the slot past what is durable or received, nor backwards", () => {
  fc.assert(
    fc.property(facts, (given) => {
      for (const { flushed } of acknowledge(given)) {
        if (flushed === LSN_ZERO) continue;
        assert.ok(flushed <= given.durable && flushed <= given.received && flushed >= given.reported);
      }
    }),
  );
});

test("R1: acknowledge() ends with written = received and no flushed position while the repository lags", () => {
  fc.assert(
    fc.property(facts, (given) => {
      const last = acknowledge(given).at(-1);
      assert.equal(last?.written, given.received);
      assert.equal(
        last.flushed,
        given.durable === given.received && given.durable >= given.reported ? given.durable : 0n,
      );
    }),
  );
});

test("acknowledge() reports every advance of what is durable", () => {
  fc.assert(
    fc.property(facts, (given) => {
      const isAdvance = given.durable > given.reported && given.durable <= given.received;
      assert.equal(
        acknowledge(given).some(({ flushed }) => flushed === given.durable),
        isAdvance || (given.durable === given.received && given.durable === given.reported),
      );
    }),
  );
});
