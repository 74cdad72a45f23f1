import assert from "node:assert/strict";
import { test } from "node:test";
import { isErrorCode } from "../core/errors.ts";
import { scramVerifier, verifierMatches } from "./scram.ts";

/** RFC 7677, section 3: user "user", password "pencil". */
const SALT = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
const VERIFIER =
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

test("scramVerifier() gives the published verifier of the published password", async () => {
  assert.equal(await scramVerifier("pencil", SALT), VERIFIER);
});

test("scramVerifier() takes another salt each time", async () => {
  assert.notEqual(await scramVerifier("pencil"), await scramVerifier("pencil"));
});

test("scramVerifier() refuses a password that the server would normalise", async () => {
  await assert.rejects(scramVerifier("pässword"), (error) => isErrorCode(error, "bug"));
  await assert.rejects(scramVerifier(""), (error) => isErrorCode(error, "bug"));
});

test("verifierMatches() tells the right password from another, and from no verifier", async () => {
  assert.equal(await verifierMatches(VERIFIER, "pencil"), true);
  assert.equal(await verifierMatches(VERIFIER, "pen"), false);
  assert.equal(await verifierMatches("md5abcdef", "pencil"), false);
  assert.equal(await verifierMatches("", "pencil"), false);
});
