import assert from "node:assert/strict";
import { chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { code } from "../../test/contract/store.ts";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { createDatabaseKey, unwrapDatabaseKey } from "./database-key.ts";
import { openMasterKey } from "./master-key.ts";
import { unwrapSecret, wrapSecret } from "./secrets.ts";

const temp = await makeTempFolder({ after });
const now = new Date("2026-11-22T12:00:00Z");
let homes = 0;
const nextFolder = (): string => join(temp, `home-${homes++}`, "keys");

test("openMasterKey() makes a key once, in the form of age-keygen, for its owner alone", async () => {
  const folder = nextFolder();
  const made = await openMasterKey({ folder, mayCreate: true, now });
  assert.match(made.identity, /^AGE-SECRET-KEY-1/);
  assert.match(made.recipient, /^age1/);
  assert.equal((await stat(made.file)).mode & 0o777, 0o600);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  const expected = `# created: 2026-11-22T12:00:00.000Z\n# public key: ${made.recipient}\n${made.identity}\n`;
  assert.equal(await readFile(made.file, "utf8"), expected);
  assert.deepEqual(await openMasterKey({ folder, mayCreate: false, now }), made);
  assert.deepEqual(await readdir(folder), ["master.age-identity"]);
});

test("openMasterKey() makes one key when many processes begin at once", async () => {
  const folder = nextFolder();
  const keys = await Promise.all(Array.from({ length: 8 }, () => openMasterKey({ folder, mayCreate: true, now })));
  assert.equal(new Set(keys.map((key) => key.identity)).size, 1);
  assert.deepEqual(await readdir(folder), ["master.age-identity"]);
});

test("openMasterKey() says key_missing when the file of a home in use is gone, and makes no other", async () => {
  const folder = nextFolder();
  const made = await openMasterKey({ folder, mayCreate: true, now });
  await rm(made.file);
  await assert.rejects(openMasterKey({ folder, mayCreate: false, now }), code("key_missing"));
  assert.deepEqual(await readdir(folder), []);
});

test("openMasterKey() says key_missing when the file holds no identity", async () => {
  const folder = nextFolder();
  const made = await openMasterKey({ folder, mayCreate: true, now });
  await writeFile(made.file, "# nothing here\n");
  await assert.rejects(openMasterKey({ folder, mayCreate: true, now }), code("key_missing"));
});

test("openMasterKey() refuses a key that others may read", async () => {
  const folder = nextFolder();
  const made = await openMasterKey({ folder, mayCreate: true, now });
  await chmod(made.file, 0o640);
  await assert.rejects(openMasterKey({ folder, mayCreate: true, now }), code("home_unusable"));
});

test("createDatabaseKey() wraps an identity that the master key alone unwraps", async () => {
  const master = await openMasterKey({ folder: nextFolder(), mayCreate: true, now });
  const stranger = await openMasterKey({ folder: nextFolder(), mayCreate: true, now });
  const key = await createDatabaseKey([master.recipient]);
  const identity = await unwrapDatabaseKey(master, "ad-1", key.wrappedIdentity);
  assert.match(identity, /^AGE-SECRET-KEY-1/);
  assert.ok(!key.wrappedIdentity.includes(identity));
  assert.notEqual((await createDatabaseKey([master.recipient])).recipient, key.recipient);
  await assert.rejects(unwrapDatabaseKey(stranger, "ad-1", key.wrappedIdentity), code("key_missing"));
});

test("unwrapSecret() gives back what wrapSecret() took, and nothing when a bit was flipped", async () => {
  const master = await openMasterKey({ folder: nextFolder(), mayCreate: true, now });
  const wrapped = await wrapSecret(master, "pässword");
  assert.equal((await unwrapSecret(master, wrapped, "password")).toString("utf8"), "pässword");
  const bytes = Buffer.from([0, 1, 255]);
  assert.ok((await unwrapSecret(master, await wrapSecret(master, bytes), "key")).equals(bytes));
  wrapped.writeUInt8(wrapped.readUInt8(wrapped.length - 1) ^ 1, wrapped.length - 1);
  await assert.rejects(unwrapSecret(master, wrapped, "password"), code("object_corrupt"));
});
