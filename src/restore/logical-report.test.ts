import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RestoreLog, extensionOf, parseDumpList } from "./logical-report.ts";

/** As pg_restore 15 prints them in the locale C. */
const LIST = [
  ";     TOC Entries: 15",
  "; Selected TOC Entries:",
  ";",
  "2; 3079 16391 EXTENSION - pg_trgm ",
  "217; 1259 16476 TABLE public ok bob",
  "215; 1259 16386 TABLE public two words bob",
  "3399; 0 16476 TABLE DATA public ok bob",
  "3398; 0 16386 TABLE DATA public two words bob",
];
const FAILED_TABLE = [
  "pg_restore: dropping TABLE two words",
  "pg_restore: while PROCESSING TOC:",
  "pg_restore: from TOC entry 215; 1259 16386 TABLE two words bob",
  "pg_restore: error: could not execute query: ERROR:  cannot drop table because other objects depend on it",
  "DETAIL:  view public.dep depends on it",
  'Command was: DROP TABLE IF EXISTS public."two words";',
  "pg_restore: creating TABLE public.two words",
  "pg_restore: error: could not execute query: ERROR:  relation already exists",
  'Command was: CREATE TABLE public."two words" (',
  "    id integer",
  ");",
  "",
  "pg_restore: processing data for table public.ok",
];

function logOf(lines: readonly string[]): RestoreLog {
  const log = new RestoreLog();
  for (const line of lines) log.push(line);
  return log;
}

suite("RestoreLog", () => {
  const entries = parseDumpList(LIST);

  test("parseDumpList() reads every entry, without its owner", () => {
    assert.deepEqual(
      entries.map(({ id, object }) => [id, object]),
      [
        [2, "EXTENSION - pg_trgm"],
        [217, "TABLE public ok"],
        [215, "TABLE public two words"],
        [3399, "TABLE DATA public ok"],
        [3398, "TABLE DATA public two words"],
      ],
    );
    assert.deepEqual(entries.map(extensionOf), ["pg_trgm", undefined, undefined, undefined, undefined]);
  });

  test("report() says of each entry whether it failed, with the server's words and without the command's", () => {
    const log = logOf([...FAILED_TABLE, "pg_restore: warning: errors ignored on restore: 2"]);
    assert.equal(log.hasEnded, true);
    const [kept, ...wanted] = entries;
    assert.ok(kept !== undefined);
    const reason = [
      "could not execute query: ERROR:  cannot drop table because other objects depend on it",
      "DETAIL:  view public.dep depends on it",
      "could not execute query: ERROR:  relation already exists",
    ].join("\n");
    assert.deepEqual(log.report(wanted, [kept], log.hasEnded), [
      { object: "TABLE public ok", outcome: "restored", reason: null },
      { object: "TABLE public two words", outcome: "failed", reason },
      { object: "TABLE DATA public ok", outcome: "restored", reason: null },
      { object: "TABLE DATA public two words", outcome: "failed", reason: "Its table could not be made anew" },
      { object: "EXTENSION - pg_trgm", outcome: "kept", reason: "It is there already" },
    ]);
  });

  test("report() calls nothing restored when pg_restore ended before its end", () => {
    const log = logOf([...FAILED_TABLE, "pg_restore: error: could not open large object 16479"]);
    assert.equal(log.hasEnded, false);
    assert.equal(log.lastError, "could not open large object 16479");
    const outcomes = log.report(entries, [], log.hasEnded).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ["unknown", "unknown", "failed", "unknown", "failed"]);
  });

  test("report() keeps a bounded part of a reason that a server makes long", () => {
    const log = logOf([...FAILED_TABLE.slice(0, 3), `pg_restore: error: ${"x".repeat(100_000)}`]);
    const reason = log.report(entries, [], true).find(({ outcome }) => outcome === "failed")?.reason;
    assert.equal(reason?.length, 1000);
  });
});
