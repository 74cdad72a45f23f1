import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Principal } from "../../../src/control/model.ts";
import { createKeyService, findUserByKey } from "../../../src/control/ssh-keys.ts";
import { insertUser, loadPrincipal } from "../../../src/control/users.ts";
import { isErrorCode, type ErrorCode } from "../../../src/core/errors.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { newSshPublicKey } from "../../harness/ssh-public-key.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const clock = new SteppedClock(new Date("2026-03-01T10:00:00Z"));
const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const keys = createKeyService({ database, clock });
const alice = await makeUser("alice");
const bob = await makeUser("bob");

const refusedAs = (code: ErrorCode, field?: string) => (error: unknown) =>
  isErrorCode(error, code) && (field === undefined || error.fields?.[field] !== undefined);

const newKey = (): string => newSshPublicKey("a key");
const blobOf = (line: string): Buffer => Buffer.from(line.split(" ")[1] ?? "", "base64");

test("add() gives a key to one user: the same key or name again is refused, whoever asks", async () => {
  const line = newKey();
  const added = await keys.add(alice, { name: " laptop ", content: `${line}\n` });
  assert.deepEqual([added.name, added.content], ["laptop", line]);
  assert.deepEqual(await findUserByKey(database, blobOf(line)), {
    keyId: added.id,
    keyName: "laptop",
    userId: alice.userId,
  });
  await assert.rejects(keys.add(alice, { name: "again", content: line }), refusedAs("invalid_fields", "content"));
  const renamed = line.replace("a key", "another comment");
  await assert.rejects(keys.add(bob, { name: "laptop", content: renamed }), refusedAs("invalid_fields", "content"));
  await assert.rejects(keys.add(alice, { name: "laptop", content: newKey() }), refusedAs("invalid_fields", "name"));
  assert.equal((await keys.add(bob, { name: "laptop", content: newKey() })).name, "laptop");
  assert.equal((await keys.list(alice)).length, 1);
});

test("remove() ends the key's logins, and finds no other user's key", async () => {
  const line = newKey();
  const { id } = await keys.add(alice, { name: "gone", content: line });
  await assert.rejects(keys.show(bob, id), refusedAs("not_found"));
  await assert.rejects(keys.remove(bob, id), refusedAs("not_found"));
  assert.equal((await keys.show(alice, id)).content, line);
  clock.advance(1000);
  await keys.remove(alice, id);
  assert.equal(await findUserByKey(database, blobOf(line)), undefined);
  await assert.rejects(keys.remove(alice, id), refusedAs("not_found"));
  const events = await database.db.selectFrom("events").select(["type", "data"]).orderBy("id").execute();
  assert.deepEqual(
    events.slice(-2).map(({ type }) => type),
    ["new_key", "delete_key"],
  );
  assert.doesNotMatch(JSON.stringify(events), /AAAAC3/);
});

async function makeUser(username: string): Promise<Principal> {
  const email = `${username}@example.com`;
  const input = { username, email, fullname: "", password: "correct horse battery", isPlatformOwner: false };
  const { id } = await insertUser(database, clock, input);
  return await loadPrincipal(database, { userId: id, apiTokenId: null });
}
