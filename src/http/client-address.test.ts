import assert from "node:assert/strict";
import { test } from "node:test";
import { clientAddress } from "./client-address.ts";

test("clientAddress() believes the socket alone when there is no proxy", () => {
  const connection = { remoteAddress: "192.0.2.1", forwardedFor: "203.0.113.9", behindProxy: false };
  assert.equal(clientAddress(connection), "192.0.2.1");
  assert.equal(clientAddress({ ...connection, remoteAddress: "::ffff:192.0.2.1" }), "192.0.2.1");
  assert.equal(clientAddress({ ...connection, remoteAddress: undefined }), "unknown");
});

test("clientAddress() takes the proxy's own entry, the last, and no other", () => {
  const connection = { remoteAddress: "10.0.0.1", behindProxy: true };
  assert.equal(clientAddress({ ...connection, forwardedFor: "1.1.1.1, 203.0.113.9" }), "203.0.113.9");
  assert.equal(clientAddress({ ...connection, forwardedFor: "2001:db8::1" }), "2001:db8::1");
  for (const forwardedFor of [undefined, "", "1.1.1.1, unknown", "1.1.1.1,"])
    assert.equal(clientAddress({ ...connection, forwardedFor }), "10.0.0.1");
});
