import assert from "node:assert/strict";
import { test } from "node:test";
import { code } from "../../test/contract/store.ts";
import { systemClock } from "../core/clock.ts";
import { openMemoryStore } from "../storage/memory-store.ts";
import { REPOSITORY_MARKER_KEY } from "./layout.ts";
import { openRepository, REPOSITORY_FORMAT_VERSION } from "./repository.ts";

const now = new Date("2026-11-22T12:00:00Z");

test("openRepository() makes a repository once and finds it again", async () => {
  const store = openMemoryStore(systemClock);
  await assert.rejects(openRepository(store), code("object_not_found"));
  const opened = await Promise.all(["a", "b", "c"].map((id) => openRepository(store, { create: { id, now } })));
  assert.equal(new Set(opened.map((repository) => repository.id)).size, 1);
  const again = await openRepository(store);
  assert.equal(again.id, opened[0]?.id);
  assert.equal(again.formatVersion, REPOSITORY_FORMAT_VERSION);
});

test("openRepository() refuses a repository of a later format, whatever else its marker says", async () => {
  const store = openMemoryStore(systemClock);
  await store.put(REPOSITORY_MARKER_KEY, Buffer.from('{"format":"tidemark","version":2,"layout":["other"]}'));
  await assert.rejects(openRepository(store), code("format_too_new"));
});

test("openRepository() refuses a damaged marker and doesn't replace it", async () => {
  for (const text of ["", "{", '{"format":"restic","version":1}', '{"format":"tidemark","version":1}']) {
    const store = openMemoryStore(systemClock);
    await store.put(REPOSITORY_MARKER_KEY, Buffer.from(text));
    await assert.rejects(openRepository(store, { create: { id: "x", now } }), code("object_corrupt"), text);
  }
});
