import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { TidemarkError } from "../../src/core/errors.ts";
import { ADDON_ID, ALICE, inMemoryServices } from "./in-memory-services.ts";
import { basic, bearer, openFace } from "./open-face.ts";

const face = await openFace({ after });

async function json(response: Response): Promise<unknown> {
  assert.match(response.headers.get("Content-Type") ?? "", /^application\/json\b/);
  return response.json();
}

describe("addresses and methods", () => {
  test("an unknown address is a 404 in JSON without a resource member", async () => {
    const response = await face.request("/v1/nothing?x=1");
    assert.equal(response.status, 404);
    assert.deepEqual(await json(response), { error: "There is nothing at this address" });
  });

  test("a thing that isn't there is a 404 with the error alone", async () => {
    const response = await face.request("/v1/apps/other");
    assert.equal(response.status, 404);
    assert.deepEqual(await json(response), { error: "There is no app of this name or id" });
  });

  test("a known address with another method is a 405 that names the methods it takes", async () => {
    const response = await face.request("/v1/apps/my-app", { method: "PUT", json: {} });
    assert.equal(response.status, 405);
    assert.deepEqual(response.headers.get("Allow")?.split(", ").toSorted(), ["DELETE", "GET", "HEAD", "PATCH"]);
    assert.deepEqual(await json(response), {
      error: "This address takes GET, HEAD, PATCH, DELETE only",
      code: "method_not_allowed",
    });
  });

  test("HEAD is answered as GET without its body", async () => {
    const response = await face.request("/v1/apps", { method: "HEAD" });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  });
});

describe("credentials", () => {
  const refused = {
    "no header": {},
    "a scheme that isn't known": { Authorization: "Digest abc" },
    "a JWT that isn't valid": bearer("other"),
    "an API token that wasn't exchanged": basic("", ALICE.apiToken),
    "base64 of nothing": { Authorization: "Basic " },
  };
  for (const [what, headers] of Object.entries(refused))
    test(`${what} is a 401 in JSON, without a Basic challenge`, async () => {
      const response = await fetch(`${face.url}/v1/apps`, { headers });
      assert.equal(response.status, 401);
      assert.equal(response.headers.get("WWW-Authenticate"), 'Bearer realm="tidemark"');
      const body = await json(response);
      assert.ok(typeof body === "object" && body !== null && "error" in body && !("code" in body));
    });

  test("a wrong password is a 401", async () => {
    const response = await face.request("/v1/tokens", {
      method: "POST",
      json: { token: { name: "x" } },
      headers: basic("alice", "wrong"),
    });
    assert.equal(response.status, 401);
  });

  test("are asked for before the body is judged", async () => {
    const response = await fetch(`${face.url}/v1/apps`, { method: "POST", body: "{" });
    assert.equal(response.status, 401);
  });
});

describe("bodies", () => {
  const post = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
    face.request("/v1/apps", { method: "POST", body, headers });

  test("malformed JSON is a 400", async () => {
    for (const body of ["{", "", '{"app":}', "nul"]) {
      const response = await post(body);
      assert.equal(response.status, 400, body);
      assert.deepEqual(await json(response), { error: "The request's body is not valid JSON", code: "bad_request" });
    }
  });

  test("JSON that is no object is a 400", async () => {
    for (const body of ["[]", "null", "1", '"app"']) {
      const response = await post(body);
      assert.equal(response.status, 400, body);
      assert.deepEqual(await json(response), {
        error: "The request's body must be a JSON object",
        code: "bad_request",
      });
    }
  });

  test("fields that are not allowed are a 422 that names each", async () => {
    const cases: readonly [unknown, unknown][] = [
      [{}, { app: ["is required"] }],
      [{ app: [] }, { app: ["must be an object"] }],
      [{ app: {} }, { name: ["is required"] }],
      [{ app: { name: 5 } }, { name: ["must be text"] }],
      [{ app: { name: "a\u0000b" } }, { name: ["must have no control characters"] }],
      [{ app: { name: "\ud800" } }, { name: ["must be valid Unicode"] }],
      [{ app: { name: "x".repeat(300) } }, { name: ["must have at most 255 characters"] }],
    ];
    for (const [body, errors] of cases) {
      const response = await post(JSON.stringify(body));
      assert.equal(response.status, 422);
      assert.deepEqual(await json(response), { errors });
    }
  });

  test("another media type is a 415 with a hint", async () => {
    const response = await post("app=x", { "Content-Type": "application/x-www-form-urlencoded" });
    assert.equal(response.status, 415);
    assert.deepEqual(await json(response), {
      error: "The request's body must be JSON. Send it with the header Content-Type: application/json",
      code: "unsupported_media_type",
      hint: "Send it with the header Content-Type: application/json",
    });
  });

  test("a body above the limit is a 413, with and without a length in front", async (t) => {
    const small = await openFace(t, { maxBodyBytes: 1000 });
    const text = JSON.stringify({ app: { name: "x".repeat(2000) } });
    const chunked = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    });
    for (const init of [{ body: text }, { body: chunked, duplex: "half" as const }]) {
      const response = await small.request("/v1/apps", { method: "POST", ...init });
      assert.equal(response.status, 413);
      assert.deepEqual(await json(response), {
        error: "The request's body has more than 1000 bytes",
        code: "payload_too_large",
      });
    }
  });

  test("a chunked body below the limit is read", async () => {
    const body = new ReadableStream({
      start(controller) {
        for (const piece of ['{"app":{"na', 'me":"other"}}']) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    });
    const response = await face.request("/v1/apps", { method: "POST", body, duplex: "half" });
    assert.equal(response.status, 201);
  });
});

/** What the API answers when making a backup throws `thrown`. */
async function answerTo(t: { after(clean: () => Promise<void>): void }, thrown: Error) {
  const services = inMemoryServices();
  const backups = { ...services.backups, create: () => Promise.reject(thrown) };
  const failing = await openFace(t, { services: { ...services, backups } });
  const response = await failing.request(`/api/databases/${ADDON_ID}/backups`, { method: "POST", json: {} });
  return { response, body: await json(response), log: failing.log };
}

describe("failures of services", () => {
  test("a conflict carries its details", async (t) => {
    const thrown = new TidemarkError("backup_running", "A backup is running", { details: { backup_id: "b1" } });
    const { response, body } = await answerTo(t, thrown);
    assert.equal(response.status, 409);
    assert.deepEqual(body, { error: "A backup is running", code: "backup_running", backup_id: "b1" });
  });

  test("too many requests say when to come back", async (t) => {
    const thrown = new TidemarkError("too_many_requests", "Too many failed logins", {
      details: { retry_after_seconds: 12.2 },
    });
    const { response, body } = await answerTo(t, thrown);
    assert.equal(response.status, 429);
    assert.equal(response.headers.get("Retry-After"), "13");
    assert.deepEqual(body, { error: "Too many failed logins", code: "too_many_requests", retry_after_seconds: 12.2 });
  });

  test("forbidden has error, code and hint", async (t) => {
    const { response, body } = await answerTo(t, new TidemarkError("forbidden", "You may not", { hint: "Ask" }));
    assert.equal(response.status, 403);
    assert.deepEqual(body, { error: "You may not. Ask", code: "forbidden", hint: "Ask" });
  });

  test("what is thrown by mistake tells its request id and nothing of its text, which is logged", async (t) => {
    const { response, body, log } = await answerTo(t, new Error("column password_hash does not exist"));
    const requestId = response.headers.get("X-Request-Id");
    assert.equal(response.status, 500);
    assert.deepEqual(body, {
      error: "A mistake in Tidemark itself; please report it",
      code: "bug",
      request_id: requestId,
    });
    const line = log.find(({ level }) => level === "error");
    assert.equal(line?.fields["requestId"], requestId);
    assert.match(String(line?.fields["err"]), /password_hash/);
  });

  test("a part that can't be reached is a 503 with Retry-After, and a line in the log that alarms nobody", async (t) => {
    const { response, log } = await answerTo(t, new TidemarkError("control_unavailable", "Cannot reach the database"));
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("Retry-After"), "5");
    assert.deepEqual(
      log.filter(({ message }) => message === "Request failed for now").map(({ level }) => level),
      ["info"],
    );
  });
});

test("a login that needs a second factor is answered in the words by which clients know it", async (t) => {
  const services = inMemoryServices();
  const identity: typeof services.identity = {
    ...services.identity,
    authenticatePassword: async ({ oneTimePassword }) => {
      throw oneTimePassword === undefined
        ? new TidemarkError("second_factor_required", "OTP Required")
        : new TidemarkError("unauthenticated", `Wrong one-time password, of ${oneTimePassword.length} characters`);
    },
  };
  const careful = await openFace(t, { services: { ...services, identity } });
  const login = async (headers: Record<string, string>): Promise<{ status: number; body: unknown }> => {
    const body = JSON.stringify({ token: { name: "x" } });
    const response = await careful.request("/v1/tokens", {
      method: "POST",
      headers: { ...basic("alice", "x"), ...headers },
      body,
    });
    return { status: response.status, body: await response.json() };
  };
  const wanted = { status: 401, body: { error: "OTP Required", code: "second_factor_required" } };
  assert.deepEqual(await login({}), wanted);
  assert.deepEqual(await login({ "X-Authorization-OTP": " " }), wanted);
  const wrong = await login({ "X-Authorization-OTP": "123456" });
  assert.deepEqual(wrong, { status: 401, body: { error: "Wrong one-time password, of 6 characters" } });
  assert.equal((await login({ "X-Authorization-OTP": "1".repeat(101) })).status, 401);
});
