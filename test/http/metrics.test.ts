import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ALICE, inMemoryServices } from "./in-memory-services.ts";
import { basic, bearer, openFace } from "./open-face.ts";

const services = inMemoryServices();
const seen: unknown[] = [];
const metrics: typeof services.metrics = {
  ...services.metrics,
  observeRequest: ({ method, route, status }) => void seen.push([method, route, status]),
  countError: (code) => void seen.push(code),
};
const face = await openFace({ after }, { services: { ...services, metrics } });
const proxied = await openFace({ after }, { behindProxy: true });
const read = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/metrics`, { headers });

test("GET /metrics is open to this machine, as text that Prometheus reads", async () => {
  const response = await read(face.url);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("Content-Type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.equal(await response.text(), "tidemark_databases 1\n");
});

test("GET /metrics wants an API token from elsewhere, as Prometheus sends it or as ours do", async () => {
  const elsewhere = { "X-Forwarded-For": "192.0.2.7" };
  assert.equal((await read(proxied.url, elsewhere)).status, 401);
  assert.equal((await read(proxied.url, { ...elsewhere, ...bearer(ALICE.apiToken) })).status, 200);
  assert.equal((await read(proxied.url, { ...elsewhere, ...basic("", ALICE.apiToken) })).status, 200);
  assert.equal((await read(proxied.url, { ...elsewhere, ...bearer("wrong") })).status, 401);
  assert.equal((await read(proxied.url, bearer("wrong"))).status, 401, "a wrong token is told from here, too");
});

test("every request is counted by the template of its path, and every failure by its code", async () => {
  seen.length = 0;
  await face.request("/v1/apps/my-app");
  await face.request("/v1/apps/another");
  await face.request("/nowhere");
  assert.deepEqual(seen, [
    ["GET", "/v1/apps/:app", 200],
    "not_found",
    ["GET", "/v1/apps/:app", 404],
    "not_found",
    ["GET", null, 404],
  ]);
});
