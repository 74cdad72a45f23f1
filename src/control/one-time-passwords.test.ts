import assert from "node:assert/strict";
import { test } from "node:test";
import { describeSecret, hashRecoveryCode, newOneTimeSecret, newRecoveryCodes, stepOf } from "./one-time-passwords.ts";

/** Secret and values of RFC 6238, appendix B, their last six digits. */
const RFC_SECRET = Buffer.from("12345678901234567890");
const RFC_VALUES: readonly (readonly [seconds: number, code: string])[] = [
  [59, "287082"],
  [1111111109, "081804"],
  [1111111111, "050471"],
  [1234567890, "005924"],
  [2000000000, "279037"],
];

test("stepOf() knows the values of RFC 6238, a step early or late included, and no others", () => {
  for (const [seconds, code] of RFC_VALUES) {
    const step = Math.floor(seconds / 30);
    const at = (offsetSeconds: number): number | undefined =>
      stepOf(code, RFC_SECRET, new Date((seconds + offsetSeconds) * 1000));
    assert.deepEqual([at(0), at(-30), at(30)], [step, step, step]);
    assert.deepEqual([at(61), at(-61)], [undefined, undefined]);
  }
  for (const odd of ["", "28708", "2870822", "28708a", "-87082", "２８７０８２"])
    assert.equal(stepOf(odd, RFC_SECRET, new Date(59_000)), undefined, odd);
  assert.equal(stepOf(" 287 082\n", RFC_SECRET, new Date(59_000)), 1);
});

test("describeSecret() gives what authenticators read", () => {
  const { uri, secret } = describeSecret({ secret: RFC_SECRET, username: "alice" });
  assert.equal(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  const url = new URL(uri);
  assert.deepEqual([url.protocol, url.host, url.pathname], ["otpauth:", "totp", "/Tidemark:alice"]);
  assert.deepEqual(
    ["secret", "issuer", "algorithm", "digits", "period"].map((name) => url.searchParams.get(name)),
    [secret, "Tidemark", "SHA1", "6", "30"],
  );
  assert.equal(newOneTimeSecret().length, 20);
});

test("hashRecoveryCode() is the same for a code however it is typed, and another for another", () => {
  const codes = newRecoveryCodes();
  assert.equal(new Set(codes.map((code) => hashRecoveryCode(code).toString("hex"))).size, 10);
  const [code = ""] = codes;
  assert.match(code, /^[a-z2-9]{4}(-[a-z2-9]{4}){3}$/);
  assert.deepEqual(hashRecoveryCode(` ${code.replaceAll("-", " ").toUpperCase()}`), hashRecoveryCode(code));
});
