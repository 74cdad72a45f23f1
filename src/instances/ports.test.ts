import assert from "node:assert/strict";
import { once } from "node:events";
import { type Server, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { isErrorCode } from "../core/errors.ts";
import { firstFreePort, isPortFree } from "./ports.ts";

const bind = "127.0.0.1";

async function occupy(t: TestContext, port: number): Promise<Server> {
  const server = createServer().listen(port, bind);
  t.after(() => server.close());
  await once(server, "listening");
  return server;
}

/** The first of three ports in a row that nobody uses, below the range that the system gives out by itself. */
async function freeTriple(): Promise<number> {
  for (let first = 21_000 + Math.floor(Math.random() * 8_000); ; first += 3) {
    const free = await Promise.all([0, 1, 2].map((step) => isPortFree({ bind, port: first + step })));
    if (free.every(Boolean)) return first;
  }
}

test("firstFreePort() passes over ports that are given out or in use", async (t) => {
  const first = await freeTriple();
  await occupy(t, first + 1);
  const range = { first, last: first + 2 };
  assert.equal(await firstFreePort({ range, bind, taken: new Set() }), first);
  assert.equal(await firstFreePort({ range, bind, taken: new Set([first]) }), first + 2);
  await assert.rejects(firstFreePort({ range, bind, taken: new Set([first, first + 2]) }), (error) =>
    isErrorCode(error, "port_in_use"),
  );
});

test("isPortFree() sees a listener on one address when asked for all", async (t) => {
  const port = await freeTriple();
  assert.equal(await isPortFree({ bind: "*", port }), true);
  const server = createServer().listen(port, "::");
  t.after(() => server.close());
  await once(server, "listening");
  assert.equal(await isPortFree({ bind: "*", port }), false);
});

test("isPortFree() refuses an address that the machine doesn't have", async () => {
  await assert.rejects(isPortFree({ bind: "192.0.2.1", port: 4321 }), (error) => isErrorCode(error, "config_invalid"));
});
