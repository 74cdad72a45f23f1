import assert from "node:assert/strict";
import { test } from "node:test";
import { markedBlocks } from "./marked-blocks.ts";

test("markedBlocks() gives the marked blocks in order, and no other", () => {
  const page =
    "A\n\n```bash\nno\n```\n\n<!-- test -->\n```bash\none\ntwo\n```\n\nB\n<!-- test -->\n```bash\nthree\n```\n";
  assert.deepEqual(markedBlocks(page), ["one\ntwo\n", "three\n"]);
  assert.deepEqual(markedBlocks("no marks\n```bash\nno\n```\n"), []);
});

test("markedBlocks() gives the blocks of one mark when a page has several", () => {
  const page = "<!-- test -->\n```bash\none\n```\n<!-- test restore -->\n```bash\ntwo\n```\n";
  assert.deepEqual(markedBlocks(page), ["one\n"]);
  assert.deepEqual(markedBlocks(page, "test restore"), ["two\n"]);
});

test("markedBlocks() throws when no bash block follows a mark at once", () => {
  assert.throws(() => markedBlocks("<!-- test -->\n\nProse\n```bash\none\n```\n"), /No bash block/);
  assert.throws(() => markedBlocks("<!-- test -->\n```text\none\n```\n"), /No bash block/);
});
