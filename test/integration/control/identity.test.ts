import assert from "node:assert/strict";
import { after, test } from "node:test";
import { decodeJwt } from "jose";
import {
  authenticateDatabaseCaller,
  createIdentityService,
  type IdentityContext,
} from "../../../src/control/identity.ts";
import { signJwt } from "../../../src/control/jwt.ts";
import type { Principal } from "../../../src/control/model.ts";
import { createSessionService } from "../../../src/control/sessions.ts";
import { insertUser, loadPrincipal, resetOwnerPassword } from "../../../src/control/users.ts";
import { isErrorCode, type ErrorCode } from "../../../src/core/errors.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const PASSWORD = "correct horse battery";
const ADDRESS = "127.0.0.1";

const clock = new SteppedClock(new Date("2026-03-01T10:00:00Z"));
const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const context: IdentityContext = { database, clock, jwtKey: { clock, secret: new Uint8Array(32).fill(7) } };
await insertUser(database, clock, {
  username: "owner",
  email: "owner@localhost",
  fullname: "Owner",
  password: PASSWORD,
  isPlatformOwner: true,
});
const owner: Principal = await createIdentityService(context).authenticatePassword({
  identifier: "OWNER",
  password: PASSWORD,
  address: ADDRESS,
});

const refusedAs = (code: ErrorCode) => (error: unknown) => isErrorCode(error, code);

test("authenticatePassword() takes name or address in any case, and says the same of a wrong password and an unknown name", async () => {
  const identity = createIdentityService(context);
  const byAddress = await identity.authenticatePassword({
    identifier: "Owner@LocalHost",
    password: PASSWORD,
    address: ADDRESS,
  });
  assert.equal(byAddress.userId, owner.userId);
  const messages: string[] = [];
  for (const identifier of ["owner", "nobody"]) {
    await assert.rejects(
      identity.authenticatePassword({ identifier, password: "wrong", address: "10.0.0.9" }),
      (error) => {
        messages.push(error instanceof Error ? error.message : "");
        return isErrorCode(error, "unauthenticated");
      },
    );
  }
  assert.equal(messages[0], messages[1]);
});

test("authenticatePassword() refuses even the right password after ten failures, until fifteen minutes are over", async () => {
  const identity = createIdentityService(context);
  await insertUser(database, clock, {
    username: "limited",
    email: "limited@x",
    fullname: "",
    password: PASSWORD,
    isPlatformOwner: false,
  });
  const attempt = (password: string) =>
    identity.authenticatePassword({ identifier: "limited", password, address: "10.0.0.1" });
  for (let failure = 0; failure < 10; failure++) await assert.rejects(attempt("wrong"), refusedAs("unauthenticated"));
  await assert.rejects(attempt(PASSWORD), refusedAs("too_many_requests"));
  clock.advance(15 * 60_000 + 1);
  assert.equal((await attempt(PASSWORD)).username, "limited");
});

test("createToken() tells a secret once; it logs in, is noted as used, and ends with removeToken() together with its JWTs", async () => {
  const identity = createIdentityService(context);
  const token = await identity.createToken(owner, { name: " laptop " });
  assert.match(token.secret, /^tk-us-[A-Za-z0-9]{48}$/);
  assert.equal(token.name, "laptop");
  const principal = await identity.authenticateApiToken(token.secret);
  const jwt = await identity.issueJwt(principal);
  assert.equal((await identity.authenticateJwt(jwt)).userId, owner.userId);
  const [listed] = await identity.listTokens(owner);
  assert.equal(listed?.id, token.id);
  assert.deepEqual(listed?.lastUsedAt, clock.now());
  assert.ok(!("secret" in (listed ?? {})));

  await identity.removeToken(owner, token.id);
  await assert.rejects(identity.authenticateApiToken(token.secret), refusedAs("unauthenticated"));
  await assert.rejects(identity.authenticateJwt(jwt), refusedAs("unauthenticated"));
  await assert.rejects(identity.removeToken(owner, token.id), refusedAs("not_found"));
});

test("removeToken() doesn't find another user's token", async () => {
  const identity = createIdentityService(context);
  const token = await identity.createToken(owner, { name: "mine" });
  const other = await identity.createUser(owner, {
    username: "other",
    email: "other@x",
    fullname: "",
    password: PASSWORD,
  });
  const stranger = { ...owner, userId: other.id, isPlatformOwner: false };
  await assert.rejects(identity.removeToken(stranger, token.id), refusedAs("not_found"));
  assert.equal((await identity.authenticateApiToken(token.secret)).userId, owner.userId);
  await assert.rejects(
    identity.createUser(stranger, { username: "third", email: "third@x", fullname: "", password: PASSWORD }),
    refusedAs("forbidden"),
  );
});

test("authenticateJwt() refuses a token that is expired, altered, unsigned, or made for an addon", async () => {
  const identity = createIdentityService(context);
  const jwt = await identity.issueJwt(owner);
  const { exp = 0, iat = 0 } = decodeJwt(jwt);
  assert.equal(exp - iat, 3600);
  const [header = "", payload = "", signature = ""] = jwt.split(".");
  const other = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
  const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.`;
  const forAddon = await signJwt(context.jwtKey, { ...owner, addonId: "ad-1" });
  for (const bad of [`${header}.${payload}.${other}`, unsigned, forAddon, "opaque", ""]) {
    await assert.rejects(identity.authenticateJwt(bad), refusedAs("unauthenticated"));
  }
  assert.deepEqual(await authenticateDatabaseCaller(context, forAddon), { principal: owner, addonId: "ad-1" });
  clock.advance(3600_000 + 1000);
  await assert.rejects(identity.authenticateJwt(jwt), refusedAs("unauthenticated"));
});

test("createUser() says every field that is wrong, and which one is taken", async () => {
  const identity = createIdentityService(context);
  await assert.rejects(
    identity.createUser(owner, { username: "A b", email: "no", fullname: "x\n", password: "short" }),
    (error) =>
      isErrorCode(error, "invalid_fields") &&
      Object.keys(error.fields ?? {}).join() === "username,email,fullname,password",
  );
  await assert.rejects(
    identity.createUser(owner, { username: "owner", email: "new@x", fullname: "", password: PASSWORD }),
    (error) => isErrorCode(error, "invalid_fields") && error.fields?.["username"]?.[0] === "is taken",
  );
});

test("resetOwnerPassword() replaces the password and forgets failed logins", async () => {
  assert.equal(await resetOwnerPassword(database, "another good one"), "owner");
  const identity = createIdentityService(context);
  const login = (password: string) =>
    identity.authenticatePassword({ identifier: "owner", password, address: ADDRESS });
  await assert.rejects(login(PASSWORD), refusedAs("unauthenticated"));
  assert.equal((await login("another good one")).userId, owner.userId);
});

test("resetOwnerPassword() ends JWTs and sessions of before, and leaves API tokens", async () => {
  const identity = createIdentityService(context);
  const sessions = createSessionService(context);
  const principal = await loadPrincipal(database, { userId: owner.userId, apiTokenId: null });
  const token = await identity.createToken(principal, { name: "stays" });
  const jwt = await identity.issueJwt(principal);
  const { secret } = await sessions.open(principal);
  await resetOwnerPassword(database, PASSWORD);
  await assert.rejects(identity.authenticateJwt(jwt), refusedAs("unauthenticated"));
  await assert.rejects(sessions.authenticate(secret), refusedAs("unauthenticated"));
  const again = await identity.authenticateApiToken(token.secret);
  assert.equal((await identity.authenticateJwt(await identity.issueJwt(again))).userId, owner.userId);
});

test("a session lasts while it is used, at most a week, and ends when it is closed or left for twelve hours", async () => {
  const sessions = createSessionService(context);
  const principal = await loadPrincipal(database, { userId: owner.userId, apiTokenId: null });
  const hours = (count: number): void => clock.advance(count * 3600_000);
  const closed = await sessions.open(principal);
  const { csrfToken, principal: found } = await sessions.authenticate(closed.secret);
  assert.deepEqual([csrfToken, found.userId], [closed.csrfToken, owner.userId]);
  assert.notEqual(closed.csrfToken, closed.secret);
  await sessions.close(closed.secret);
  await sessions.close(closed.secret);
  await assert.rejects(sessions.authenticate(closed.secret), refusedAs("unauthenticated"));

  const idle = await sessions.open(principal);
  hours(11.9);
  await sessions.authenticate(idle.secret);
  hours(12);
  await assert.rejects(sessions.authenticate(idle.secret), refusedAs("unauthenticated"));

  const busy = await sessions.open(principal);
  for (let passed = 0; passed < 167; passed++) {
    hours(1);
    await sessions.authenticate(busy.secret);
  }
  hours(1);
  await assert.rejects(sessions.authenticate(busy.secret), refusedAs("unauthenticated"));
  const stored = await database.db.selectFrom("browser_sessions").selectAll().execute();
  assert.ok(!JSON.stringify(stored).includes(busy.secret));
});
