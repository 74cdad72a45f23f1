import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { logLineFormatter } from "./log-lines.ts";

describe("logLineFormatter()", () => {
  test("puts time, zone and instance before each line, those of one entry alike", () => {
    const format = logLineFormatter("postgresql-1");
    assert.deepEqual(
      [
        "2026-11-22 17:11:35.123 UTC [4711] shop_1001@shop_1001 ERROR:  division by zero",
        "2026-11-22 17:11:35.124 UTC [4711] shop_1001@shop_1001 STATEMENT:  select 1",
        "\t  / 0",
      ].map(format),
      [
        "2026-11-22 17:11:35.123 +0000 UTC [postgresql-1] [4711] shop_1001@shop_1001 ERROR:  division by zero\n",
        "2026-11-22 17:11:35.124 +0000 UTC [postgresql-1] [4711] shop_1001@shop_1001 STATEMENT:  select 1\n",
        "2026-11-22 17:11:35.124 +0000 UTC [postgresql-1] \t  / 0\n",
      ],
    );
  });

  test("gives a line without a time before it one all the same: clients split at the spaces", () => {
    assert.equal(
      logLineFormatter("postgresql-1")("tail of an entry"),
      "1970-01-01 00:00:00.000 +0000 UTC [postgresql-1] tail of an entry\n",
    );
  });

  for (const line of [
    "",
    "x",
    " ",
    "  ",
    "\t",
    "\r",
    "a b c d",
    "a b c d ",
    "a b c d e f",
    "2026-11-22 17:11:35.123 UTC ",
  ])
    test(`puts the instance, and nothing shorter, in fifth place of ${JSON.stringify(line)}`, () => {
      const shown = logLineFormatter("postgresql-1")(line);
      assert.equal(shown.split(" ")[4], "[postgresql-1]");
      assert.equal(shown.indexOf("\n"), shown.length - 1);
    });

  const hidden: readonly [string, string][] = [
    ["alter role x password 'hunter2'", "alter role x password '********'"],
    ["CREATE ROLE x PASSWORD 'it''s' LOGIN", "CREATE ROLE x PASSWORD '********' LOGIN"],
    ["alter role x password E'a\\'b' valid", "alter role x password '********' valid"],
    ["alter role x password $$hunter2$$ login", "alter role x password '********' login"],
    ["alter role x password $q$hunter2$q$ login", "alter role x password '********' login"],
    ["alter role x password 'cut off", "alter role x password '********'"],
    ['password authentication failed for user "x"', 'password authentication failed for user "x"'],
  ];
  for (const [line, shown] of hidden)
    test(`shows "${line}" as "${shown}"`, () => {
      assert.equal(logLineFormatter("p")(line), `1970-01-01 00:00:00.000 +0000 UTC [p] ${shown}\n`);
    });
});
