import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAuthorization } from "./credentials.ts";

const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

test("parseAuthorization() reads a bearer token, whatever the case of the scheme", () => {
  assert.deepEqual(parseAuthorization("Bearer a.b.c"), { kind: "bearer", token: "a.b.c" });
  assert.deepEqual(parseAuthorization("bearer  a.b.c "), { kind: "bearer", token: "a.b.c" });
});

test("parseAuthorization() takes Basic without a name for an API token", () => {
  assert.deepEqual(parseAuthorization(basic(":tk-1")), { kind: "apiToken", secret: "tk-1" });
});

test("parseAuthorization() splits name and password at the first colon", () => {
  assert.deepEqual(parseAuthorization(basic("alice:a:b:é")), {
    kind: "password",
    identifier: "alice",
    password: "a:b:é",
  });
});

for (const [what, header] of [
  ["a missing header", undefined],
  ["another scheme", "Digest x"],
  ["a scheme alone", "Bearer"],
  ["a token of two words", "Bearer a b"],
  ["Basic without a colon", basic("alice")],
  ["an empty password", basic("alice:")],
  ["an empty token", basic(":")],
  ["a NUL in the name", basic("a\u0000:b")],
  ["a line break in the password", basic("a:b\n")],
  ["an absurd length", `Bearer ${"x".repeat(5000)}`],
] as const)
  test(`parseAuthorization() finds nothing in ${what}`, () => {
    assert.equal(parseAuthorization(header), undefined);
  });
