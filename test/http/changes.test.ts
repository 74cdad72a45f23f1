import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, test, type TestContext } from "node:test";
import type { Change } from "../../src/control/change-service.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { EventStream } from "../harness/event-stream.ts";
import { SteppedClock } from "../harness/stepped-clock.ts";
import { InMemoryChanges } from "./in-memory-changes.ts";
import { ADDON_ID, ALICE, APP_ID, inMemoryServices } from "./in-memory-services.ts";
import { bearer, openFace, type OpenFace, until } from "./open-face.ts";

const app = { id: APP_ID, name: "my-app" };
const BACKUPS: Change = { topic: "backups", app, addonId: ADDON_ID };
const EVENTS: Change = { topic: "events", app, addonId: ADDON_ID };
const ACCOUNT: Change = { topic: "account", app: null, addonId: null };
const EVERYTHING = { type: "changes", data: { everything: true, changes: [] } };
const of = (...topics: string[]) => [{ app_id: APP_ID, app_name: "my-app", addon_id: ADDON_ID, topics }];

async function openScene(cleanUp: Pick<TestContext, "after">, overrides: Parameters<typeof inMemoryServices>[0] = {}) {
  const clock = new SteppedClock(new Date("2026-11-30T12:00:00Z"));
  const changes = new InMemoryChanges(clock);
  const face = await openFace(cleanUp, { clock, services: inMemoryServices({ changes, ...overrides }) });
  return { clock, changes, face };
}

async function follow(face: OpenFace): Promise<EventStream> {
  const response = await face.request("/v1/changes");
  assert.equal(response.status, 200);
  const stream = new EventStream(response);
  assert.deepEqual(await stream.next(), EVERYTHING);
  return stream;
}

describe("GET /v1/changes", () => {
  test("says first that everything may have changed, then what has, in an answer that nothing on the way may keep", async (t) => {
    const { face, changes } = await openScene(t);
    const response = await face.request("/v1/changes");
    assert.equal(response.headers.get("Content-Type"), "text/event-stream");
    assert.equal(response.headers.get("Cache-Control"), "no-store, no-transform");
    assert.equal(response.headers.get("X-Accel-Buffering"), "no");
    const stream = new EventStream(response);
    assert.deepEqual(await stream.next(), EVERYTHING);
    for (const change of [BACKUPS, EVENTS, BACKUPS, ACCOUNT]) changes.tell(change);
    const account = { app_id: null, app_name: null, addon_id: null, topics: ["account"] };
    assert.deepEqual(await stream.next(), {
      type: "changes",
      data: { everything: false, changes: [...of("backups", "events"), account] },
    });
    await stream.leave();
    await until(() => changes.followers === 0);
  });

  test("sends at most one message in a second, with all that came in between", async (t) => {
    const { face, changes, clock } = await openScene(t);
    const stream = await follow(face);
    changes.tell(BACKUPS);
    assert.deepEqual(await stream.next(), { type: "changes", data: { everything: false, changes: of("backups") } });
    changes.tell(EVENTS);
    const second = stream.next();
    clock.advance(900);
    changes.tell("all");
    let isThere = false;
    void second.then(() => (isThere = true));
    // An answer of the same server, asked for later: what it had to send on the stream would have come before.
    await face.request("/v1/apps");
    assert.equal(isThere, false);
    clock.advance(100);
    assert.deepEqual(await second, EVERYTHING);
    await stream.leave();
  });

  test("beats while nothing changes", async (t) => {
    const { face, clock } = await openScene(t);
    const stream = await follow(face);
    for (const _ of [1, 2]) {
      const beat = stream.next();
      let isThere = false;
      void beat.then(() => (isThere = true));
      await until(() => {
        clock.advance(1000);
        return isThere;
      });
      assert.deepEqual(await beat, { type: "beat", data: null });
    }
    await stream.leave();
  });

  test("opens for a browser's session, and for as many as may follow", async (t) => {
    const { face, changes } = await openScene(t);
    const headers = { Cookie: `tidemark_session=${ALICE.session}` };
    const first = new EventStream(await fetch(`${face.url}/v1/changes`, { headers }));
    assert.deepEqual(await first.next(), EVERYTHING);
    const second = await follow(face);
    const refused = await face.request("/v1/changes");
    assert.deepEqual([refused.status, refused.headers.get("Content-Type")], [429, "application/json"]);
    assert.ok(Number(refused.headers.get("Retry-After")) > 0);
    const head = await face.request("/v1/changes", { method: "HEAD" });
    assert.equal(head.status, 200);
    await first.leave();
    await second.leave();
    await until(() => changes.followers === 0);
    await (await follow(face)).leave();
  });

  test("ends when its login has, at the next change or beat", async (t) => {
    let isOver = false;
    const { identity } = inMemoryServices();
    const authenticateJwt = async (jwt: string) => {
      if (isOver) throw new TidemarkError("unauthenticated", "This login is over");
      return await identity.authenticateJwt(jwt);
    };
    const { face, changes } = await openScene(t, { identity: { ...identity, authenticateJwt } });
    const stream = await follow(face);
    isOver = true;
    changes.tell(ACCOUNT);
    assert.equal(await stream.next(), undefined);
    assert.equal(changes.followers, 0);
    assert.equal((await face.request("/v1/changes")).status, 401);
  });

  test("ends when changes may have been missed, and with the server", async () => {
    const cleanUps = collectCleanUps();
    const { face, changes } = await openScene(cleanUps);
    const broken = await follow(face);
    changes.breakOff();
    assert.equal(await broken.next(), undefined);
    const stream = await follow(face);
    const ended = stream.next();
    await cleanUps.run();
    assert.equal(await ended, undefined);
    assert.equal(changes.followers, 0);
    assert.deepEqual(
      face.log.filter(({ level }) => level === "error" || level === "warn"),
      [],
    );
  });

  test("cuts a reader that takes nothing for long", async (t) => {
    const { face, changes, clock } = await openScene(t);
    const socket = connect(face.server.port, "127.0.0.1");
    t.after(() => socket.destroy());
    const { Authorization } = bearer(ALICE.jwt);
    socket.write(`GET /v1/changes HTTP/1.1\r\nHost: x\r\nAuthorization: ${Authorization}\r\n\r\n`);
    await until(() => changes.followers === 1);
    // More than what lies between two sockets of one machine can hold.
    const name = "x".repeat(2 ** 20);
    for (let index = 0; index < 64; index++)
      changes.tell({ topic: "apps", app: { id: `${index}`, name }, addonId: null });
    await until(() => {
      clock.advance(1000);
      return changes.followers === 0;
    });
  });
});
