import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLsn } from "../core/lsn.ts";
import { parseControlFile } from "./control-file.ts";

/** The first 300 bytes of pg_control of real clusters, made by initdb of that major with WAL segments of 1 MB and max_prepared_transactions = 5. */
const FILES = [
  {
    major: 17,
    systemId: "7711019017201439916",
    checkpoint: "0/E72290",
    state: "shut down",
    base64: [
      "rNSSAPEKA2ukBgAAiXkQDAEAAAAAAAAA9woDawAAAACQIucAAAAAAJAi5wAAAAAAAQAAAAEAAAABAAAAAQAAAK0DAAAAAAAA",
      "CEAAAAEAAAAAAAAA2gIAAAEAAAABAAAAAQAAAAAAAAD3CgNrAAAAAOICAACsAwAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAA",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAABQAAAEAAAAABAAAACAAAAAAAAACH1jJB",
      "ACAAAAAAAgAAIAAAAAAQAEAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAAzPW052wtRT0Xw6xUxkgwqftJ94Ydc4uE/3WDKQsPfc",
      "NQOLNQAAAAAAAAAA",
    ],
  },
  {
    major: 18,
    systemId: "7711018902480711969",
    checkpoint: "0/E7AD40",
    state: "shut down",
    base64: [
      "IXGvStYKA2sIBwAAMwASDAEAAAAAAAAA2woDawAAAABArecAAAAAAECt5wAAAAAAAQAAAAEAAAABAAAAAQAAALsDAAAAAAAA",
      "CEAAAAEAAAAAAAAA6AIAAAEAAAABAAAAAQAAAAAAAADbCgNrAAAAAPACAAC6AwAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAA",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAABQAAAEAAAAABAAAACAAAAAAAAACH1jJB",
      "ACAAAAAAAgAAIAAAAAAQAEAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAAGg7GEOUHNB1kHKdBdodkcaEQ4PXVmmDHr1Md/066k6",
      "5AAAAPZHABgAAAAA",
    ],
  },
] as const;

for (const file of FILES)
  test(`parseControlFile() reads a control file of PostgreSQL ${file.major}`, () => {
    const control = parseControlFile(Buffer.from(file.base64.join(""), "base64"));
    assert.equal(control.systemId, file.systemId);
    assert.equal(control.state, file.state);
    assert.equal(formatLsn(control.checkpoint), file.checkpoint);
    assert.equal(control.walSegmentSize, 1024 * 1024);
    assert.equal(control.hasChecksums, true);
    assert.deepEqual(control.minimums, {
      maxConnections: 100,
      maxWorkerProcesses: 8,
      maxWalSenders: 10,
      maxPreparedTransactions: 5,
      maxLocksPerTransaction: 64,
    });
  });

test("parseControlFile() refuses a version that it doesn't know, and a file that is cut", () => {
  const bytes = Buffer.from(FILES[0].base64.join(""), "base64");
  assert.throws(() => parseControlFile(bytes.subarray(0, 200)), { code: "object_corrupt" });
  bytes.writeUInt32LE(9900, 8);
  assert.throws(() => parseControlFile(bytes), { code: "format_too_new" });
});
