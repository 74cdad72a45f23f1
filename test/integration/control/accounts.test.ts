import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createUsersService } from "../../../src/control/accounts.ts";
import { createAppService } from "../../../src/control/apps.ts";
import type { ControlContext, Secrets } from "../../../src/control/context.ts";
import { createIdentityService } from "../../../src/control/identity.ts";
import type { Principal } from "../../../src/control/model.ts";
import { createSessionService } from "../../../src/control/sessions.ts";
import { insertUser, loadPrincipal } from "../../../src/control/users.ts";
import { isErrorCode, type ErrorCode } from "../../../src/core/errors.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const PASSWORD = "correct horse battery";
const NEW_PASSWORD = "a wholly different one";

const clock = new SteppedClock(new Date("2026-03-01T10:00:00Z"));
const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const context = { database, clock };
const users = createUsersService(context);
// Nobody here has a second factor, so nothing is unwrapped.
const secrets = {} as Secrets;
const identity = createIdentityService({
  ...context,
  secrets,
  jwtKey: { clock, secret: new Uint8Array(32).fill(7) },
});
const sessions = createSessionService(context);
// Making and removing apps without databases needs neither queue nor keys.
const apps = createAppService(context as unknown as ControlContext);
const owner = await makeUser("owner");

const refusedAs = (code: ErrorCode, field?: string) => (error: unknown) =>
  isErrorCode(error, code) && (field === undefined || error.fields?.[field] !== undefined);
const login = (identifier: string, password: string): Promise<Principal> =>
  identity.authenticatePassword({ identifier, password, address: "10.0.0.1" });

test("changeAccount() takes a new password with the one of now, and ends every login but API tokens", async () => {
  const alice = await makeUser("alice");
  const token = await identity.createToken(alice, { name: "stays" });
  const jwt = await identity.issueJwt(alice);
  const { secret } = await sessions.open(alice);
  const change = { password: NEW_PASSWORD, currentPassword: PASSWORD };
  await assert.rejects(users.changeAccount(alice, { password: NEW_PASSWORD }), refusedAs("invalid_fields"));
  const guess = { ...change, currentPassword: "wrong" };
  await assert.rejects(users.changeAccount(alice, guess), refusedAs("invalid_fields", "current_password"));
  await assert.rejects(
    users.changeAccount(alice, { ...change, password: "short" }),
    refusedAs("invalid_fields", "password"),
  );
  assert.equal((await identity.authenticateJwt(jwt)).userId, alice.userId);

  await users.changeAccount(alice, change);
  await assert.rejects(identity.authenticateJwt(jwt), refusedAs("unauthenticated"));
  await assert.rejects(sessions.authenticate(secret), refusedAs("unauthenticated"));
  await assert.rejects(login("alice", PASSWORD), refusedAs("unauthenticated"));
  assert.equal((await login("alice", NEW_PASSWORD)).userId, alice.userId);
  assert.equal((await identity.authenticateApiToken({ secret: token.secret, address: "x" })).userId, alice.userId);
});

test("changeAccount() refuses an address that is malformed or taken, and slows down who guesses the password", async () => {
  const bob = await makeUser("bob");
  const change = { email: "new@example.com", currentPassword: PASSWORD };
  await assert.rejects(users.changeAccount(bob, { ...change, email: "no" }), refusedAs("invalid_fields", "email"));
  const taken = { ...change, email: "OWNER@example.com" };
  await assert.rejects(users.changeAccount(bob, taken), refusedAs("invalid_fields", "email"));
  assert.equal((await users.changeAccount(bob, change)).email, "new@example.com");
  assert.equal((await users.changeAccount(bob, { fullname: "Bob" })).fullname, "Bob");
  assert.equal((await users.changeAccount(bob, {})).fullname, "Bob");
  const guess = { ...change, currentPassword: "wrong" };
  for (let failure = 0; failure < 10; failure++)
    await assert.rejects(users.changeAccount(bob, guess), refusedAs("invalid_fields"));
  await assert.rejects(users.changeAccount(bob, change), refusedAs("too_many_requests"));
});

test("list(), reset() and remove() are the platform owner's; to others no other user exists", async () => {
  const [carol, dave] = [await makeUser("carol"), await makeUser("dave")];
  await assert.rejects(users.list(carol), refusedAs("forbidden"));
  await assert.rejects(users.reset(carol, dave.userId, { password: NEW_PASSWORD }), refusedAs("not_found"));
  await assert.rejects(users.remove(carol, dave.userId), refusedAs("not_found"));
  await assert.rejects(users.remove(owner, owner.userId), refusedAs("conflict"));
  await assert.rejects(users.remove(owner, "nobody"), refusedAs("not_found"));
  const listed = await users.list(owner);
  assert.deepEqual(
    listed
      .filter(({ username }) => ["carol", "owner"].includes(username))
      .map(({ username, isPlatformOwner }) => [username, isPlatformOwner]),
    [
      ["carol", false],
      ["owner", true],
    ],
  );
  const { secret } = await sessions.open(carol);
  await users.reset(owner, carol.userId, { password: NEW_PASSWORD });
  await assert.rejects(sessions.authenticate(secret), refusedAs("unauthenticated"));
  assert.equal((await login("carol", NEW_PASSWORD)).userId, carol.userId);
});

test("remove() waits until the user owns no app, ends every login, and leaves removed apps to the platform's owner", async () => {
  const eve = await makeUser("eve");
  const token = await identity.createToken(eve, { name: "eve's" });
  const jwt = await identity.issueJwt(eve);
  const { id } = await apps.create(eve, { name: "eves-app" });
  await assert.rejects(users.remove(owner, eve.userId), refusedAs("conflict"));
  await apps.remove(eve, "eves-app", { currentName: "eves-app" });
  await users.remove(owner, eve.userId);
  await assert.rejects(identity.authenticateJwt(jwt), refusedAs("unauthenticated"));
  const byToken = identity.authenticateApiToken({ secret: token.secret, address: "x" });
  await assert.rejects(byToken, refusedAs("unauthenticated"));
  await assert.rejects(login("eve", PASSWORD), refusedAs("unauthenticated"));
  const left = await database.db.selectFrom("apps").select("owner_id").where("id", "=", id).executeTakeFirstOrThrow();
  assert.equal(left.owner_id, owner.userId);
});

async function makeUser(username: string): Promise<Principal> {
  const email = `${username}@example.com`;
  const input = { username, email, fullname: "", password: PASSWORD, isPlatformOwner: username === "owner" };
  const { id } = await insertUser(database, clock, input);
  return await loadPrincipal(database, { userId: id, apiTokenId: null });
}
