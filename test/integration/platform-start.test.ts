import assert from "node:assert/strict";
import { test } from "node:test";
import { startPlatform } from "../harness/platform.ts";

test("serve makes a platform from an empty folder, and a second start takes up where the first left off", async (t) => {
  const platform = await startPlatform(t, { sample: true });
  const first = await platform.runOk(["--app", "my-app", "--addon", "postgresql", "backups", "--json"]);
  assert.match(first, /"status": ?"done"/);
  assert.equal(await platform.stop(), 0);
  await platform.start();
  const second = await platform.runOk(["--app", "my-app", "--addon", "postgresql", "backups", "--json"]);
  assert.equal(second, first);
});
