import assert from "node:assert/strict";
import { after, test } from "node:test";
import { TidemarkError } from "../../src/core/errors.ts";
import { pick } from "../harness/pick.ts";
import { ADDON_ID, ALICE, inMemoryServices } from "./in-memory-services.ts";
import { basic, openFace } from "./open-face.ts";

const face = await openFace({ after });
const cookie = `other=1; tidemark_session=${ALICE.session}`;
const proof = { "X-CSRF-Token": ALICE.csrfToken };
const app = JSON.stringify({ app: { name: "made-by-a-page" } });

const ask = (path: string, method: string, headers: Record<string, string>, body?: string): Promise<Response> =>
  fetch(`${face.url}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    ...(body === undefined ? {} : { body }),
  });

test("POST /v1/session sets a cookie that scripts and other sites can't use, and tells the proof", async () => {
  const response = await ask("/v1/session", "POST", basic("alice", ALICE.password));
  assert.equal(response.status, 201);
  const body: unknown = await response.json();
  assert.equal(pick(body, "session", "csrf_token"), ALICE.csrfToken);
  assert.equal(pick(body, "session", "user", "username"), "alice");
  assert.doesNotMatch(JSON.stringify(body), new RegExp(ALICE.session));
  const set = response.headers.get("Set-Cookie") ?? "";
  assert.match(set, /^tidemark_session=session-of-alice; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Strict$/);
  assert.equal((await ask("/v1/session", "POST", basic("alice", "wrong"))).status, 401);
});

test("POST /v1/session tells by its code that a one-time password is wanted, and by none that it is wrong", async (t) => {
  const services = inMemoryServices();
  const identity: typeof services.identity = {
    ...services.identity,
    authenticatePassword: async ({ oneTimePassword }) => {
      throw oneTimePassword === undefined
        ? new TidemarkError("second_factor_required", "OTP Required")
        : new TidemarkError("unauthenticated", "Wrong one-time password");
    },
  };
  const careful = await openFace(t, { services: { ...services, identity } });
  const codeOf = async (headers: Record<string, string>): Promise<unknown[]> => {
    const response = await fetch(`${careful.url}/v1/session`, {
      method: "POST",
      headers: { ...basic("alice", ALICE.password), ...headers },
    });
    const body: unknown = await response.json();
    return [response.status, pick(body, "code")];
  };
  assert.deepEqual(await codeOf({}), [401, "second_factor_required"]);
  assert.deepEqual(await codeOf({ "X-Authorization-OTP": "123456" }), [401, undefined]);
});

test("over https the cookie is Secure, and bound to its host", async (t) => {
  const region = {
    name: "r",
    displayName: "R",
    publicUrl: "https://backups.example.com",
    sshAddress: "x:22",
    sshHostKey: "SHA256:x",
  };
  const secure = await openFace(t, { region });
  const response = await fetch(`${secure.url}/v1/session`, {
    method: "POST",
    headers: basic("alice", ALICE.password),
  });
  assert.match(response.headers.get("Set-Cookie") ?? "", /^__Host-tidemark_session=.*; Secure; SameSite=Strict$/);
  const reads = (name: string): Promise<Response> =>
    fetch(`${secure.url}/v1/apps`, { headers: { Cookie: `${name}=${ALICE.session}` } });
  assert.equal((await reads("__Host-tidemark_session")).status, 200);
  assert.equal((await reads("tidemark_session")).status, 401);
});

test("the cookie reads like a token, and changes something only with the proof", async () => {
  for (const path of ["/v1/apps", "/v1/users/self", "/v1/session", `/api/databases/${ADDON_ID}`])
    assert.equal((await ask(path, "GET", { Cookie: cookie })).status, 200, path);
  for (const headers of [{}, { "X-CSRF-Token": "" }, { "X-CSRF-Token": `${ALICE.csrfToken}x` }]) {
    const response = await ask("/v1/apps", "POST", { Cookie: cookie, ...headers }, app);
    assert.deepEqual([response.status, pick(await response.json(), "code")], [403, "forbidden"]);
  }
  assert.equal((await ask("/v1/apps", "POST", { Cookie: cookie, ...proof }, app)).status, 201);
  assert.equal((await ask(`/api/databases/${ADDON_ID}/backups`, "POST", { Cookie: cookie })).status, 403);
  assert.equal((await ask(`/api/databases/${ADDON_ID}/backups`, "POST", { Cookie: cookie, ...proof })).status, 201);
});

test("an Authorization header that is wrong isn't passed over for the cookie", async () => {
  for (const Authorization of ["Bearer wrong", "Bearer", "Basic ====", "x"])
    assert.equal((await ask("/v1/apps", "GET", { Cookie: cookie, Authorization })).status, 401, Authorization);
  for (const odd of ["tidemark_session=", "tidemark_session", `tidemark_session=${"x".repeat(3000)}`, ";;=", "%"])
    assert.equal((await ask("/v1/apps", "GET", { Cookie: odd })).status, 401, odd);
});

test("DELETE /v1/session needs the proof, and takes the cookie back", async () => {
  assert.equal((await ask("/v1/session", "DELETE", { Cookie: cookie })).status, 403);
  const response = await ask("/v1/session", "DELETE", { Cookie: cookie, ...proof });
  assert.equal(response.status, 204);
  assert.match(response.headers.get("Set-Cookie") ?? "", /^tidemark_session=; Max-Age=0; Path=\//);
});
