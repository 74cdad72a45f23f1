import assert from "node:assert/strict";
import { test } from "node:test";
import { isErrorCode } from "../core/errors.ts";
import { isPublicAddress, post } from "./http-post.ts";

const PRIVATE = [
  "127.0.0.1",
  "127.255.255.255",
  "10.1.2.3",
  "172.31.0.1",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "fe80::1",
  "fd00::1",
  "::ffff:127.0.0.1",
  "64:ff9b::7f00:1",
  "ff02::1",
];
const PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700:4700::1111"];

test("isPublicAddress() tells addresses of the internet from those inside", () => {
  for (const address of PRIVATE) assert.equal(isPublicAddress(address), false, address);
  for (const address of PUBLIC) assert.equal(isPublicAddress(address), true, address);
  assert.equal(isPublicAddress("example.com"), false);
});

test("post() refuses an address inside, given as a number in any notation or as a name, before it connects", async () => {
  for (const host of [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "[::1]",
    "[::ffff:7f00:1]",
    "localhost",
    "169.254.169.254",
  ]) {
    const posting = post(
      { url: `http://${host}:9/secret-path`, headers: {}, body: "{}" },
      { allowsPrivateTargets: false, signal: AbortSignal.timeout(30_000) },
    );
    await assert.rejects(posting, (error) => {
      assert.ok(isErrorCode(error, "notification_refused"), `${host}: ${String(error)}`);
      assert.ok(!error.message.includes("secret-path"));
      return true;
    });
  }
});
