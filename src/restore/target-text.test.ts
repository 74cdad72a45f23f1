import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseLsn } from "../core/lsn.ts";
import { parseTimestamp } from "../core/timestamp.ts";
import { parseTarget } from "./target-text.ts";

suite("parseTarget()", () => {
  test("tells times, positions, transactions and names of restore points apart", () => {
    const time = parseTimestamp("2026-11-22T14:02:33.123456Z");
    assert.deepEqual(parseTarget("latest"), { kind: "latest" });
    assert.deepEqual(parseTarget("2026-11-22T14:02:33.123456Z"), { kind: "time", time });
    assert.deepEqual(parseTarget("2026-11-22 15:02:33.123456 Europe/Paris"), { kind: "time", time });
    assert.deepEqual(parseTarget("0/16B3748"), { kind: "lsn", lsn: parseLsn("0/16B3748") });
    assert.deepEqual(parseTarget("4711"), { kind: "xid", xid: 4711 });
    assert.deepEqual(parseTarget("before the migration"), { kind: "restore point", name: "before the migration" });
  });

  test("takes the kind that stands before a colon, so that any name can be given", () => {
    assert.deepEqual(parseTarget("name:4711"), { kind: "restore point", name: "4711" });
    assert.deepEqual(parseTarget("name:latest"), { kind: "restore point", name: "latest" });
    assert.deepEqual(parseTarget("xid:4711"), { kind: "xid", xid: 4711 });
    assert.throws(() => parseTarget("lsn:4711"), { code: "bad_request" });
    assert.throws(() => parseTarget("time:tomorrow"), { code: "bad_request" });
  });

  test("keeps that a moment is exclusive, and refuses it where it means nothing", () => {
    assert.deepEqual(parseTarget("4711", { isExclusive: true }), { kind: "xid", xid: 4711, isExclusive: true });
    for (const text of ["latest", "before the migration"])
      assert.throws(() => parseTarget(text, { isExclusive: true }), { code: "bad_request" });
  });

  test("refuses what is nothing of all this", () => {
    for (const text of ["", "2026-11-22", "2026-11-22T14:02:33", "0", "4294967296", "x".repeat(64), "name:", "a\0"])
      assert.throws(() => parseTarget(text), { code: "bad_request" }, text);
  });
});
