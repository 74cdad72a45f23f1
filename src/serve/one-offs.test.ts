import assert from "node:assert/strict";
import { test } from "node:test";
import { attachAddress } from "./one-offs.ts";

for (const [publicUrl, address] of [
  ["https://backups.example.com", "https://backups.example.com:443"],
  ["http://backups.example.com/", "http://backups.example.com:80"],
  ["https://backups.example.com:443", "https://backups.example.com:443"],
  ["http://127.0.0.1:8420", "http://127.0.0.1:8420"],
  ["https://[::1]", "https://[::1]:443"],
] as const)
  test(`attachAddress() of ${publicUrl} says the port`, () => {
    assert.equal(attachAddress(new URL(publicUrl)), address);
  });
