import assert from "node:assert/strict";
import { test } from "node:test";
import { ERROR_TABLE, TidemarkError, type ErrorCode } from "../core/errors.ts";
import { errorReply } from "./error-reply.ts";

// Keys of the table are its codes.
const codes = Object.keys(ERROR_TABLE) as ErrorCode[];

test("errorReply() of every row has the members that clients read at its status", () => {
  for (const code of codes) {
    const { status, body } = errorReply(new TidemarkError(code, "It failed", { hint: "Do this" }), "r1");
    const { kind } = ERROR_TABLE[code];
    assert.equal(status, ERROR_TABLE[code].status);
    assert.ok(!("resource" in body));
    if (status === 422) assert.deepEqual(body, { errors: { base: ["It failed"] }, hint: "Do this" });
    // The wanted second factor is told by its code; whoever is simply not known learns nothing more.
    else if (code === "unauthenticated" || status === 404)
      assert.deepEqual(body, { error: "It failed. Do this", hint: "Do this" });
    else if (kind !== "bug") assert.deepEqual([body["error"], body["code"]], ["It failed. Do this", code]);
    assert.equal("request_id" in body, status >= 500, code);
  }
});

test("errorReply() names the fields of invalid_fields", () => {
  const error = new TidemarkError("invalid_fields", "No", { fields: { name: ["is taken", "is too long"] } });
  assert.deepEqual(errorReply(error, "r1").body, { errors: { name: ["is taken", "is too long"] } });
});

test("errorReply() lets no detail stand for error or code", () => {
  const error = new TidemarkError("conflict", "No", { details: { error: "x", code: "y", backup_id: "b1" } });
  assert.deepEqual(errorReply(error, "r1").body, { error: "No", code: "conflict", backup_id: "b1" });
});

test("errorReply() of a bug holds nothing of its message, hint or details", () => {
  const error = new TidemarkError("bug", "SELECT secret", { hint: "secret", details: { secret: "secret" } });
  assert.ok(!JSON.stringify(errorReply(error, "r1")).includes("secret"));
});
