import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isErrorCode } from "../core/errors.ts";
import { readOneOffRequest, withoutPasswords } from "./one-off-input.ts";

const plain = { command: "bash", isDetached: false, size: null, environment: {} };

describe("readOneOffRequest()", () => {
  test("takes a plain request, with the usual size", () => {
    assert.deepEqual(readOneOffRequest(plain), { ...plain, size: "M" });
  });

  for (const [field, odd] of [
    ["command", { command: " " }],
    ["command", { command: "a\0b" }],
    ["command", { command: "\ud800" }],
    ["command", { command: "x".repeat(20_000) }],
    ["size", { size: "XXL" }],
    ["size", { size: "__proto__" }],
    ["env", { environment: { "A=B": "1" } }],
    ["env", { environment: { A: "\0" } }],
    ["env", { environment: { A: "x".repeat(70_000) } }],
  ] as const)
    test(`refuses ${JSON.stringify(odd).slice(0, 40)} by the field ${field}`, () => {
      assert.throws(
        () => readOneOffRequest({ ...plain, ...odd }),
        (error) => isErrorCode(error, "invalid_fields") && error.fields?.[field] !== undefined,
      );
    });
});

describe("withoutPasswords()", () => {
  test("hides the password of each URI, and nothing else", () => {
    const command = "psql 'postgresql://me:s3cr%40t@127.0.0.1:5432/db' && curl https://host:80/a && echo a:b@c";
    const shown = "psql 'postgresql://me:***@127.0.0.1:5432/db' && curl https://host:80/a && echo a:b@c";
    assert.equal(withoutPasswords(command), shown);
  });
});
