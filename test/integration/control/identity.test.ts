import assert from "node:assert/strict";
import { after, test } from "node:test";
import { decodeJwt } from "jose";
import { TOTP } from "otpauth";
import {
  authenticateDatabaseCaller,
  createIdentityService,
  type IdentityContext,
} from "../../../src/control/identity.ts";
import type { Secrets } from "../../../src/control/context.ts";
import { signJwt } from "../../../src/control/jwt.ts";
import type { Principal } from "../../../src/control/model.ts";
import { createSecondFactorService } from "../../../src/control/second-factors.ts";
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
/** Turned over, so that what is stored plain would be found. */
const turned = (bytes: Uint8Array): Buffer => Buffer.from(bytes.map((byte) => byte ^ 0xff));
const secrets: Pick<Secrets, "wrap" | "unwrap"> = {
  wrap: async (plain) => turned(plain),
  unwrap: async (wrapped) => turned(wrapped),
};
const context: IdentityContext = {
  database,
  clock,
  jwtKey: { clock, secret: new Uint8Array(32).fill(7) },
  // Nothing here makes a database's key.
  secrets: secrets as Secrets,
};
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
  const elsewhere = await identity.authenticatePassword({
    identifier: "limited",
    password: PASSWORD,
    address: "10.0.0.2",
  });
  assert.equal(elsewhere.username, "limited");
  const neighbour = await identity.authenticatePassword({
    identifier: "owner",
    password: PASSWORD,
    address: "10.0.0.1",
  });
  assert.equal(neighbour.username, "owner");
  clock.advance(15 * 60_000 + 1);
  assert.equal((await attempt(PASSWORD)).username, "limited");
});

test("createToken() tells a secret once; it logs in, is noted as used, and ends with removeToken() together with its JWTs", async () => {
  const identity = createIdentityService(context);
  const token = await identity.createToken(owner, { name: " laptop " });
  assert.match(token.secret, /^tk-us-[A-Za-z0-9]{48}$/);
  assert.equal(token.name, "laptop");
  const principal = await identity.authenticateApiToken({ secret: token.secret, address: ADDRESS });
  const jwt = await identity.issueJwt(principal);
  assert.equal((await identity.authenticateJwt(jwt)).userId, owner.userId);
  const [listed] = await identity.listTokens(owner);
  assert.equal(listed?.id, token.id);
  assert.deepEqual(listed?.lastUsedAt, clock.now());
  assert.ok(!("secret" in (listed ?? {})));

  await identity.removeToken(owner, token.id);
  await assert.rejects(
    identity.authenticateApiToken({ secret: token.secret, address: ADDRESS }),
    refusedAs("unauthenticated"),
  );
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
  assert.equal((await identity.authenticateApiToken({ secret: token.secret, address: ADDRESS })).userId, owner.userId);
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
  const again = await identity.authenticateApiToken({ secret: token.secret, address: ADDRESS });
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

test("authenticatePassword() makes an address that guesses at many names wait a minute, and a name that many addresses guess at a quarter of an hour", async () => {
  const identity = createIdentityService(context);
  const guess = (identifier: string, address: string) =>
    identity.authenticatePassword({ identifier, password: "wrong", address });
  for (let name = 0; name < 30; name++)
    await assert.rejects(guess(`name-${name}`, "10.1.0.1"), refusedAs("unauthenticated"));
  const right = { identifier: "owner", password: PASSWORD, address: "10.1.0.1" };
  await assert.rejects(identity.authenticatePassword(right), refusedAs("too_many_requests"));
  clock.advance(60_000 + 1);
  assert.equal((await identity.authenticatePassword(right)).username, "owner");

  for (let index = 0; index < 100; index++)
    await assert.rejects(guess("other", `10.2.0.${index}`), refusedAs("unauthenticated"));
  const other = { identifier: "other", password: PASSWORD, address: "10.3.0.1" };
  await assert.rejects(identity.authenticatePassword(other), refusedAs("too_many_requests"));
  clock.advance(15 * 60_000 + 1);
  assert.equal((await identity.authenticatePassword(other)).username, "other");

  for (let index = 0; index < 10; index++)
    await assert.rejects(guess("owner", `2001:db8::${index}:1`), refusedAs("unauthenticated"));
  await assert.rejects(guess("owner", "2001:db8:0:0:ffff::"), refusedAs("too_many_requests"));
  await assert.rejects(guess("owner", "2001:db8:0:1::1"), refusedAs("unauthenticated"));
});

test("authenticateApiToken() slows down who guesses, and takes a right token all the same", async () => {
  const identity = createIdentityService(context);
  const { secret } = await identity.createToken(owner, { name: "right" });
  const guess = () => identity.authenticateApiToken({ secret: "tk-us-wrong", address: "10.4.0.1" });
  for (let failure = 0; failure < 60; failure++) await assert.rejects(guess(), refusedAs("unauthenticated"));
  await assert.rejects(guess(), refusedAs("too_many_requests"));
  assert.equal((await identity.authenticateApiToken({ secret, address: "10.4.0.1" })).userId, owner.userId);
});

test("a second factor is asked for once it is confirmed, and takes each code once", async () => {
  const { login, principal, factors } = await makeUserWithFactors("careful");
  const { secret, uri } = await factors.begin(principal);
  assert.match(uri, /^otpauth:\/\/totp\/Tidemark:careful\?issuer=Tidemark&secret=/);
  assert.equal((await login()).username, "careful");
  await assert.rejects(factors.disable(principal, codeOf(secret)), refusedAs("conflict"));
  await assert.rejects(factors.confirm(principal, "000000x"), refusedAs("invalid_fields"));
  const recovery = await factors.confirm(principal, codeOf(secret));
  assert.equal(new Set(recovery).size, 10);
  await assert.rejects(factors.begin(principal), refusedAs("conflict"));
  await assert.rejects(factors.confirm(principal, codeOf(secret)), refusedAs("conflict"));

  await assert.rejects(
    login(),
    (error) => isErrorCode(error, "second_factor_required") && error.message === "OTP Required",
  );
  await assert.rejects(login(codeOf(secret)), refusedAs("unauthenticated"), "the code of the confirmation");
  clock.advance(30_000);
  const code = codeOf(secret);
  assert.equal((await login(`${code.slice(0, 3)} ${code.slice(3)}`)).username, "careful");
  await assert.rejects(login(code), refusedAs("unauthenticated"));
  clock.advance(30_000);
  const next = codeOf(secret);
  const together = await Promise.allSettled([login(next), login(next), login(next)]);
  assert.equal(together.filter(({ status }) => status === "fulfilled").length, 1);

  const [first = "", second = ""] = recovery;
  assert.equal((await login(` ${first.toUpperCase()} `)).username, "careful");
  await assert.rejects(login(first), refusedAs("unauthenticated"));
  await factors.disable(principal, second);
  assert.equal((await login()).username, "careful");
  const stored = JSON.stringify(await database.db.selectFrom("second_factors").selectAll().execute());
  assert.ok(!stored.includes(secret));
});

test("codes are refused for a quarter of an hour after five wrong ones, those that come at once included", async () => {
  const { login, principal, factors } = await makeUserWithFactors("guessed");
  const { secret } = await factors.begin(principal);
  await factors.confirm(principal, codeOf(secret));
  clock.advance(30_000);
  const wrong = await Promise.allSettled(Array.from({ length: 20 }, () => login("000000")));
  const refusals = wrong.map((each) =>
    each.status === "rejected" && isErrorCode(each.reason, "unauthenticated") ? 1 : 0,
  );
  assert.equal(refusals.filter((each) => each === 1).length, 5);
  await assert.rejects(login(codeOf(secret)), refusedAs("too_many_requests"));
  clock.advance(15 * 60_000 + 1);
  assert.equal((await login(codeOf(secret))).username, "guessed");
});

async function makeUserWithFactors(username: string) {
  const email = `${username}@x`;
  const { id } = await insertUser(database, clock, {
    username,
    email,
    fullname: "",
    password: PASSWORD,
    isPlatformOwner: false,
  });
  const identity = createIdentityService(context);
  const login = (oneTimePassword?: string) =>
    identity.authenticatePassword({ identifier: username, password: PASSWORD, oneTimePassword, address: "10.9.0.1" });
  const principal = await loadPrincipal(database, { userId: id, apiTokenId: null });
  return { login, principal, factors: createSecondFactorService(context) };
}

/** What an authenticator shows now for a secret that was typed into it. */
function codeOf(secret: string): string {
  return new TOTP({ secret }).generate({ timestamp: clock.now().getTime() });
}
