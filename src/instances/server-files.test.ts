import assert from "node:assert/strict";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { formatAccessRules, formatIdentities, formatSettings, writeWholeFile } from "./server-files.ts";

const user = { uid: 999, gid: 999, name: "tidemark", isSwitchedFromRoot: true };

test("formatSettings() quotes values so that none can end its line's quotes", () => {
  const text = formatSettings({ a: "plain", b: "it's", c: String.raw`back\slash` });
  assert.deepEqual(text.split("\n").slice(1), ["a = 'plain'", "b = 'it''s'", String.raw`c = 'back\\slash'`, ""]);
});

test("formatAccessRules() lets the superuser in by the socket only, before any other rule", () => {
  const lines = formatAccessRules(["host all all all scram-sha-256"]).trim().split("\n").slice(1);
  assert.deepEqual(lines, [
    "local all tidemark peer map=platform",
    "host all tidemark all reject",
    "host all all all scram-sha-256",
  ]);
});

test("formatIdentities() maps root only where the platform runs as root", () => {
  assert.equal(formatIdentities(user), 'platform "tidemark" tidemark\nplatform "root" tidemark\n');
  assert.equal(
    formatIdentities({ ...user, name: "jo smith", isSwitchedFromRoot: false }),
    'platform "jo smith" tidemark\n',
  );
});

test("writeWholeFile() replaces a file with the mode asked for, and leaves nothing beside it", async (t) => {
  const folder = await makeTempFolder(t);
  const path = join(folder, "secret");
  await writeFile(path, "old", { mode: 0o644 });
  await writeFile(`${path}.part`, "left by an interrupted call", { mode: 0o666 });
  await writeWholeFile(path, "new", { mode: 0o600 });
  assert.equal(await readFile(path, "utf8"), "new");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ["secret"]);
});
