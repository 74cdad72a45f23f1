import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { PassThrough, Writable } from "node:stream";
import { after, describe, test } from "node:test";
import { readSshPublicKey } from "../../src/control/ssh-public-key.ts";
import { EVENT_TYPES } from "../../src/core/event-types.ts";
import type { Services } from "../../src/control/services.ts";
import { readRoutes } from "../harness/api-routes.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { SteppedClock } from "../harness/stepped-clock.ts";
import { ADDON_ID, ALICE, ATTACH_REFERENCE, BACKUP_ID, inMemoryServices } from "./in-memory-services.ts";
import { basic, openFace, until } from "./open-face.ts";

/** What a client may need to have read the head of an answer and to take what follows for output. */
const HEAD_READ_MS = 250;

/** More than sockets and streams hold on the way: what is left over stands unread at the server. */
const UNREAD_BYTES = 16 * 1024 * 1024;

const face = await openFace({ after });
const document: unknown = await (await face.request("/openapi.json")).json();

/**
 * The original's command line takes an answer's shape for granted: where a field is missing or null it ends with a crash, or does the wrong thing and
 * exits with 0. Each of these is something that our answers must never be. What the API's document promises is what its routes are typed by.
 */
describe("answers that would crash the original's command line", () => {
  test("there is always a region, a default one, with host and port for SSH", async () => {
    const body: unknown = await (await fetch(`${face.url}/v1/regions`)).json();
    const regions = pickList(body, "regions");
    assert.equal(regions.filter((region) => pick(region, "default") === true).length, 1);
    for (const region of regions) {
      assert.match(pickText(region, "ssh"), /^.+:\d+$/);
      for (const field of ["name", "api", "database_api"]) assert.notEqual(pickText(region, field), "");
    }
  });

  for (const [route, status, ...path] of [
    ["GET /v1/users/self", 200, "user"],
    ["GET /v1/apps/{app}", 200, "app"],
    ["POST /v1/apps", 201, "app"],
    ["GET /v1/apps/{app}/addons", 200, "addons", "[]", "plan"],
    ["GET /v1/apps/{app}/addons", 200, "addons", "[]", "addon_provider"],
    ["GET /v1/apps/{app}/addons/{addon}", 200, "addon", "plan"],
    ["POST /v1/apps/{app}/addons", 201, "addon", "addon_provider"],
    ["PATCH /v1/apps/{app}/addons/{addon}", 200, "addon", "plan"],
    ["GET /v1/apps/{app}/ps", 200, "containers", "[]", "created_at"],
    ["GET /v1/apps/{app}/ps", 200, "containers", "[]", "label"],
    ["GET /v1/apps/{app}/ps", 200, "containers", "[]", "container_size", "human_name"],
    ["POST /v1/apps/{app}/run", 200, "container", "label"],
    ["POST /v1/apps/{app}/run", 200, "operation_url"],
    ["GET /v1/apps/{app}/notifiers", 200, "notifiers", "[]", "active"],
    ["GET /v1/apps/{app}/notifiers", 200, "notifiers", "[]", "send_all_events"],
    ["GET /v1/apps/{app}/notifiers/{id}", 200, "notifier", "active"],
    ["GET /v1/apps/{app}/notifiers/{id}", 200, "notifier", "send_all_events"],
    ["POST /v1/apps/{app}/notifiers", 201, "notifier", "active"],
    ["POST /v1/apps/{app}/notifiers", 201, "notifier", "send_all_events"],
    ["PATCH /v1/apps/{app}/notifiers/{id}", 200, "notifier", "active"],
    ["PATCH /v1/apps/{app}/notifiers/{id}", 200, "notifier", "send_all_events"],
    ["GET /v1/keys", 200, "keys", "[]", "content"],
    ["GET /attach/{reference}/wait", 200, "exit_code"],
  ] as const)
    test(`${route} always has ${path.join(".")}`, () => {
      let schema = answerOf(route, status);
      for (const step of path) {
        if (step === "[]") schema = resolve(pick(schema, "items"));
        else {
          const required = pick(schema, "required");
          assert.ok(Array.isArray(required) && required.includes(step), `${step} may be missing`);
          schema = resolve(pick(schema, "properties", step));
        }
        assert.ok(![pick(schema, "type")].flat().includes("null"), `${step} may be null`);
      }
    });

  test("no user is an administrator: the consent of others would be asked for before each command", async () => {
    const self: unknown = await (await face.request("/v1/users/self")).json();
    assert.notEqual(pick(self, "user", "flags", "admin"), true);
  });

  test("no answer of 404 names its resource: the client would look for a region in the host's name", async () => {
    for (const { method, path } of await readRoutes(face.url)) {
      const absent = path.replaceAll(/\{\w+\}/g, "absent");
      const response = await face.request(absent, { method });
      if (response.status !== 404) continue;
      const body: unknown = await response.json();
      assert.equal(pick(body, "resource"), undefined, `${method} ${path}`);
      assert.notEqual(pickText(body, "error"), "");
    }
  });

  test("no key is shorter than what its list shows of both ends", () => {
    for (const content of ["ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2E=", "x".repeat(29), ""])
      assert.throws(() => readSshPublicKey(content), { code: "invalid_fields" });
  });

  test("a notifier that is asked to be neither on nor off is not told of so", async () => {
    const asked: object[] = [];
    const { notifiers } = inMemoryServices();
    const listening: Services["notifiers"] = {
      ...notifiers,
      create: async (principal, app, input) => (asked.push(input), notifiers.create(principal, app, input)),
      update: async (principal, app, id, change) => (asked.push(change), notifiers.update(principal, app, id, change)),
    };
    const other = await openFace({ after }, { services: inMemoryServices({ notifiers: listening }) });
    const notifier = { active: null, send_all_events: null, name: "hook", platform_id: "webhook" };
    const made = await other.request("/v1/apps/my-app/notifiers", { method: "POST", json: { notifier } });
    const id = pickText(await made.json(), "notifier", "id");
    await other.request(`/v1/apps/my-app/notifiers/${id}`, { method: "PATCH", json: { notifier } });
    assert.equal(asked.length, 2);
    for (const input of asked) assert.ok(!("isActive" in input) && !("sendsAllEvents" in input), JSON.stringify(input));
  });

  test("no event is of the type whose two states it would count", () => {
    assert.ok(!Object.keys(EVENT_TYPES).includes("addon_updated"));
  });
});

describe("answers that would mislead the original's command line", () => {
  test("an archive is never said to be compressed for the way: it would be stored unpacked", async () => {
    const response = await fetch(`${face.url}/downloads/backups/${BACKUP_ID}?expires=1&signature=good-signature`, {
      headers: { "Accept-Encoding": "gzip" },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("Content-Encoding"), null);
    assert.equal(response.headers.get("Content-Type"), "application/gzip");
    assert.ok(Number(response.headers.get("Content-Length")) > 0);
    await response.body?.cancel();
  });

  test("a backup has one of the four states that its polling knows, and an integer for a size", async () => {
    const schema = resolve(pick(answerOf("GET /api/backups/{backup}", 200), "properties", "database_backup"));
    assert.deepEqual(pick(schema, "properties", "status", "enum"), ["scheduled", "running", "done", "error"]);
    assert.deepEqual(pick(schema, "properties", "size", "type"), ["integer", "null"]);
  });

  test("a database's URI always has a port", async () => {
    const body: unknown = await (await face.request("/v1/apps/my-app/variables?aliases=false")).json();
    const values = pickList(body, "variables").map((variable) => pickText(variable, "value"));
    const uris = values.filter((value) => value.startsWith("postgresql://"));
    assert.ok(uris.length > 0);
    for (const uri of uris) assert.notEqual(new URL(uri).port, "");
  });

  test("every route takes a bare question mark, and every error is JSON with a text", async () => {
    const answered = await face.request("/v1/apps?");
    assert.equal(answered.status, 200);
    for (const path of ["/nothing/here", "/v1/apps/absent?", "/api/databases/absent", "/v1"]) {
      const response = await face.request(path);
      assert.ok(response.status >= 400);
      assert.notEqual(pickText(await response.json(), "error"), "");
    }
  });

  test("an API token is taken as the password of an empty name, whatever colons a password has", async () => {
    const exchange = (authorization: Record<string, string>) =>
      fetch(`${face.url}/v1/tokens/exchange`, {
        method: "POST",
        headers: { ...authorization, "Content-Type": "application/json" },
        body: "{}",
      });
    assert.equal((await exchange(basic("", ALICE.apiToken))).status, 200);
    assert.equal((await exchange(basic("x", ALICE.apiToken))).status, 401);
    const login = await fetch(`${face.url}/v1/tokens`, {
      method: "POST",
      headers: { ...basic("alice", ALICE.password), "Content-Type": "application/json" },
      body: '{"token":{"name":"Scalingo CLI - laptop"}}',
    });
    assert.equal(login.status, 201, "a password with colons");
  });

  test("what documentation and code of the original name differently has both names", () => {
    const names = (route: string, status: number): string[] => fieldsOf(answerOf(route, status));
    assert.ok(names("POST /api/databases/{addon}/pitr/restore", 201).includes("operation_id"));
    assert.ok(names("POST /api/databases/{addon}/pitr/restore", 201).includes("operation"));
    const maintenance = names("GET /api/databases/{addon}/maintenance/{maintenance}", 200);
    assert.ok(names("PATCH /v1/apps/{app}/addons/{addon}", 200).includes("vars"));
    const user = names("POST /api/databases/{addon}/users", 201);
    assert.ok(user.includes("name") && user.includes("database_user"));
    for (const name of ["maintenance", "id", "status", "type", "started_at", "ended_at"])
      assert.ok(maintenance.includes(name), name);
  });

  test("addon ids begin as the client wants them, and the provider has the name that it looks for", async () => {
    const body: unknown = await (await face.request("/v1/apps/my-app/addons")).json();
    assert.match(pickText(body, "addons", 0, "id"), /^ad-/);
    assert.equal(pickText(body, "addons", 0, "id"), ADDON_ID);
    assert.equal(pickText(body, "addons", 0, "addon_provider", "name"), "PostgreSQL");
    assert.equal(pickText(body, "addons", 0, "addon_provider", "id"), "postgresql");
  });

  test("dates say their zone", async () => {
    const body: unknown = await (await face.request("/v1/apps/my-app/addons")).json();
    assert.match(pickText(body, "addons", 0, "provisioned_at"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("no output comes with the answer to CONNECT: the buffer it would be in is thrown away", async (t) => {
    const clock = new SteppedClock(new Date());
    const own = await openFace({ after }, { clock });
    const socket = connect(own.server.port, "127.0.0.1");
    t.after(() => socket.destroy());
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    const { Authorization } = basic("", ALICE.jwt);
    socket.write(`CONNECT /attach/${ATTACH_REFERENCE} HTTP/1.1\r\nHost: x\r\nAuthorization: ${Authorization}\r\n\r\n`);
    await until(() => answer !== "");
    clock.advance(HEAD_READ_MS);
    // Whatever it had sent by now would be here before an answer that is asked for later.
    assert.equal((await fetch(`${own.url}/v1/regions`)).status, 200);
    assert.equal(answer, "HTTP/1.1 200 OK\r\n\r\n");
    clock.advance(HEAD_READ_MS);
    await until(() => answer.endsWith("\r\n\r\nready "));
    socket.write("\u0004");
    await once(socket, "end");
  });

  test("an attached connection ends in order although much that was typed was never read", async (t) => {
    const output = new PassThrough();
    const oneOffs: Services["oneOffs"] = {
      ...inMemoryServices().oneOffs,
      attach: async () => ({
        input: new Writable({ write: () => undefined }), // takes nothing, as a command that doesn't read
        output,
        begin: () => void output.write("ready "),
        leave: () => undefined,
        noteActivity: () => undefined,
      }),
    };
    const own = await openFace({ after }, { services: inMemoryServices({ oneOffs }) });
    const socket = connect(own.server.port, "127.0.0.1");
    t.after(() => socket.destroy());
    const errors: Error[] = [];
    socket.on("error", (error) => errors.push(error));
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    const { Authorization } = basic("", ALICE.jwt);
    socket.write(`CONNECT /attach/${ATTACH_REFERENCE} HTTP/1.1\r\nHost: x\r\nAuthorization: ${Authorization}\r\n\r\n`);
    await until(() => answer.endsWith("ready "));
    socket.write(Buffer.alloc(UNREAD_BYTES));
    output.end("and the last of it");
    // A reset reaches a client that still sends as an error, before or after the end.
    await once(socket, "close");
    assert.ok(answer.endsWith("ready and the last of it"));
    assert.deepEqual(errors, []);
  });

  test("a tunnel asked of the HTTP port is none", async () => {
    const socket = connect(face.server.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    await once(socket, "close");
    assert.doesNotMatch(answer, /^HTTP\/1\.1 200/);
  });
});

/** The JSON schema of a route's answer, its reference followed. */
function answerOf(route: string, status: number): unknown {
  const [method = "", path = ""] = route.split(" ");
  const content = ["responses", status, "content", "application/json", "schema"];
  const schema = resolve(pick(document, "paths", path, method.toLowerCase(), ...content));
  assert.notEqual(schema, undefined, `${route} has no answer ${status}`);
  return schema;
}

function resolve(schema: unknown): unknown {
  const reference = pick(schema, "$ref");
  if (typeof reference !== "string") return schema;
  return pick(document, "components", "schemas", reference.split("/").at(-1) ?? "");
}

function fieldsOf(schema: unknown): string[] {
  const parts = pick(schema, "allOf");
  if (Array.isArray(parts)) return parts.flatMap((part) => fieldsOf(resolve(part)));
  return Object.keys(pick(schema, "properties") ?? {});
}
