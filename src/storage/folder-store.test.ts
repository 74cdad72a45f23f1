import assert from "node:assert/strict";
import { mkdir, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { code, describeStore } from "../../test/contract/store.ts";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { openFolderStore } from "./folder-store.ts";

const temp = await makeTempFolder({ after });
let stores = 0;
const nextRoot = (): string => join(temp, `store-${stores++}`);

describeStore("openFolderStore()", () => openFolderStore(nextRoot()));

test("openFolderStore() makes folders 0700 and files 0600", async () => {
  const root = nextRoot();
  const store = await openFolderStore(root);
  await store.put("a/b/object", Buffer.from("x"));
  for (const folder of ["", "a", "a/b", ".uploads"]) assert.equal((await stat(join(root, folder))).mode & 0o777, 0o700);
  assert.equal((await stat(join(root, "a/b/object"))).mode & 0o777, 0o600);
});

test("openFolderStore() opens a store that exists and keeps its objects", async () => {
  const root = nextRoot();
  await (await openFolderStore(root)).put("kept", Buffer.from("x"));
  assert.equal((await (await openFolderStore(root)).head("kept"))?.sizeBytes, 1);
});

test("put() leaves no upload behind when it fails", async () => {
  const root = nextRoot();
  const store = await openFolderStore(root);
  await assert.rejects(
    store.put(
      "x",
      (async function* () {
        yield Buffer.from("x");
        throw new Error("cut");
      })(),
    ),
  );
  assert.deepEqual(await readdir(join(root, ".uploads")), []);
});

test("sweepUploads() removes uploads that nobody has written to since, and only those", async () => {
  const root = nextRoot();
  const store = await openFolderStore(root);
  const old = join(root, ".uploads", "0123");
  await writeFile(old, "left by a dead process");
  await writeFile(join(root, ".uploads", "4567"), "being written");
  await utimes(old, new Date("2026-01-01"), new Date("2026-01-01"));
  assert.equal(await store.sweepUploads(new Date("2026-01-02")), 1);
  assert.deepEqual(await readdir(join(root, ".uploads")), ["4567"]);
});

test("list() never shows unfinished uploads or hidden files", async () => {
  const root = nextRoot();
  const store = await openFolderStore(root);
  await writeFile(join(root, ".uploads", "0123"), "x");
  await mkdir(join(root, ".snapshot"));
  await writeFile(join(root, ".snapshot", "x"), "x");
  for await (const { key } of store.list("")) assert.fail(`${key} is listed`);
});

test("openFolderStore() says storage_unavailable when a file stands where the folder should be", async () => {
  const file = join(temp, "file");
  await writeFile(file, "x");
  await assert.rejects(openFolderStore(join(file, "store")), code("storage_unavailable"));
});
