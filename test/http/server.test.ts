import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { ALICE, BACKUP_ID, inMemoryServices, SIGNATURE } from "./in-memory-services.ts";
import { basic, bearer, openFace, until, type OpenFace } from "./open-face.ts";

/** Sends `message` as it is on a connection of its own and returns all that comes back. */
async function exchange(face: OpenFace, message: string): Promise<string> {
  const socket = connect(face.server.port, "127.0.0.1");
  socket.end(message);
  return text(socket);
}

/** A face whose GET /v1/apps waits until `release` is called. */
async function openSlowFace(t: { after(clean: () => Promise<void>): void }, drainMs?: number) {
  const started = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const services = inMemoryServices();
  const apps = {
    ...services.apps,
    list: async () => {
      started.resolve();
      await released.promise;
      return [];
    },
  };
  const face = await openFace(t, { services: { ...services, apps }, ...(drainMs === undefined ? {} : { drainMs }) });
  return { face, started: started.promise, release: released.resolve };
}

describe("createHttpServer()", () => {
  test("fails with port_in_use when the port is taken", async (t) => {
    const face = await openFace(t);
    await assert.rejects(openFace(t, { port: face.server.port }), { code: "port_in_use" });
  });

  test("fails with config_invalid for an address that this machine doesn't have", async (t) => {
    await assert.rejects(openFace(t, { bind: "192.0.2.1" }), { code: "config_invalid" });
  });

  test("fails with config_invalid for a certificate that is none", async (t) => {
    await assert.rejects(openFace(t, { tls: { cert: "x", key: "y" } }), { code: "config_invalid" });
  });
});

describe("close()", () => {
  test("lets an answer under way finish, then ends its connection, and refuses others", async (t) => {
    const { face, started, release } = await openSlowFace(t);
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const pending = once(get(`${face.url}/v1/apps`, { agent, headers: bearer(ALICE.jwt) }), "response");
    await started;
    const closed = face.server.close();
    await assert.rejects(fetch(`${face.url}/healthz`));
    release();
    const [response] = await pending;
    assert.equal(await text(response), '{"apps":[]}');
    await closed;
  });

  test("ends idle connections at once, and may be called twice", async (t) => {
    const face = await openFace(t);
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const [response] = await once(get(`${face.url}/healthz`, { agent }), "response");
    await text(response);
    await Promise.all([face.server.close(), face.server.close()]);
  });

  test("cuts an answer that takes longer than drainMs", async (t) => {
    const { face, started } = await openSlowFace(t, 1);
    const pending = assert.rejects(face.request("/v1/apps"));
    await started;
    await face.server.close();
    await pending;
  });
});

describe("requests that are hardly requests", () => {
  test("what is not HTTP is answered 400 in JSON", async (t) => {
    const answer = await exchange(await openFace(t), "EHLO example.com\r\n\r\n");
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(
      answer,
      /\r\n\r\n\{"error":"The request is not valid HTTP, or came too slowly","code":"bad_request"\}$/,
    );
  });

  test("headers without end are answered 431", async (t) => {
    const answer = await exchange(await openFace(t), `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 431 /);
  });

  for (const [what, head] of [
    ["a Host header that is none", "GET /healthz HTTP/1.1\r\nHost: a b@c/\r\n"],
    ["a backslash in the path", "GET /v1\\apps HTTP/1.1\r\nHost: a\r\n"],
    ["an asterisk as the address", "OPTIONS * HTTP/1.1\r\nHost: a\r\n"],
  ] as const)
    test(`${what} is answered 400 in JSON`, async (t) => {
      const answer = await exchange(await openFace(t), `${head}Connection: close\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400 /);
      assert.match(answer, /"code":"bad_request"\}$/);
    });

  for (const [framing, head, body] of [
    ["length", "Content-Length: 3000000", "x".repeat(3_000_000)],
    ["chunks", "Transfer-Encoding: chunked", `${(3_000_000).toString(16)}\r\n${"x".repeat(3_000_000)}\r\n0\r\n\r\n`],
  ] as const)
    test(`a body that is too large (${framing}) is refused, and its connection takes the next request`, async (t) => {
      const face = await openFace(t, { maxBodyBytes: 20_000 });
      const refused = `POST /v1/apps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${head}\r\n\r\n${body}`;
      const next = "GET /v1/regions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
      const socket = connect(face.server.port, "127.0.0.1");
      socket.write(refused + next);
      const answers = await text(socket);
      assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 413", "HTTP/1.1 200"]);
    });

  test("an expectation that isn't known is ignored", async (t) => {
    const head = "GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: cake\r\nConnection: close\r\n\r\n";
    assert.match(await exchange(await openFace(t), head), /^HTTP\/1\.1 200 /);
  });

  for (const framing of ["Content-Length: 100", "Transfer-Encoding: chunked"])
    test(`a client that leaves in the middle of its body (${framing}) leaves no error in the log`, async (t) => {
      const face = await openFace(t);
      const socket = connect(face.server.port, "127.0.0.1");
      const head = `POST /v1/apps HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ALICE.jwt}\r\nContent-Type: application/json`;
      socket.write(`${head}\r\n${framing}\r\n\r\n7\r\n{"app":`);
      socket.end();
      socket.resume();
      await until(() => face.log.some(({ message }) => message === "Request"));
      assert.deepEqual(
        face.log.filter(({ level }) => level === "error" || level === "warn"),
        [],
      );
    });
});

describe("headers and log", () => {
  test("a well-formed X-Request-Id is taken, another is replaced", async (t) => {
    const face = await openFace(t);
    const idFor = async (id: string): Promise<string | null> =>
      (await face.request("/healthz", { headers: { "X-Request-Id": id } })).headers.get("X-Request-Id");
    assert.equal(await idFor("trace-1"), "trace-1");
    for (const id of ["<script>", "x".repeat(200)]) assert.match((await idFor(id)) ?? "", /^[0-9a-f-]{36}$/);
  });

  test("every answer forbids sniffing, framing, scripts and caching, and is never compressed", async (t) => {
    const face = await openFace(t);
    for (const path of ["/healthz", "/v1/apps", "/nothing", "/openapi.json"]) {
      const { headers } = await face.request(path, { headers: { "Accept-Encoding": "gzip" } });
      assert.equal(headers.get("X-Content-Type-Options"), "nosniff", path);
      assert.equal(headers.get("X-Frame-Options"), "DENY", path);
      assert.equal(headers.get("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'", path);
      assert.equal(headers.get("Cache-Control"), "no-store", path);
      assert.equal(headers.get("Content-Encoding"), null, path);
    }
  });

  test("the log has method, path template, status and time of a request, but no secret", async (t) => {
    const face = await openFace(t);
    await face.request(`/downloads/backups/${BACKUP_ID}?expires=1&signature=${SIGNATURE}`).then((r) => r.arrayBuffer());
    await face.request("/v1/tokens/exchange", { method: "POST", json: {}, headers: basic("", ALICE.apiToken) });
    await face.request("/v1/apps/my-app?secret=1", { headers: { "X-Request-Id": "trace-1" } });
    const line = face.log.find(({ fields }) => "requestId" in fields && fields["requestId"] === "trace-1");
    assert.deepEqual(line?.message, "Request");
    const { durationMs, ...rest } = line.fields;
    assert.deepEqual(rest, { requestId: "trace-1", method: "GET", route: "/v1/apps/:app", status: 200 });
    assert.equal(typeof durationMs, "number");
    const everything = JSON.stringify(face.log);
    for (const secret of [SIGNATURE, ALICE.apiToken, ALICE.jwt, "secret=1"]) assert.ok(!everything.includes(secret));
  });

  test("the address of a failed login is the socket's, or what our proxy appended when there is one", async (t) => {
    const seen: string[] = [];
    const services = inMemoryServices();
    const identity = {
      ...services.identity,
      authenticatePassword: (input: { identifier: string; password: string; address: string }) => {
        seen.push(input.address);
        return services.identity.authenticatePassword(input);
      },
    };
    for (const behindProxy of [false, true]) {
      const face = await openFace(t, { services: { ...services, identity }, behindProxy });
      const headers = { ...basic("alice", ALICE.password), "X-Forwarded-For": "198.51.100.7, 203.0.113.9" };
      await face.request("/v1/tokens", { method: "POST", json: { token: { name: "x" } }, headers });
    }
    assert.deepEqual(seen, ["127.0.0.1", "203.0.113.9"]);
  });
});
