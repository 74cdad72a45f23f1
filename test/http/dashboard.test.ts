import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readDashboard } from "../../src/http/dashboard-files.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { openFace } from "./open-face.ts";

const PAGE = "<!doctype html><title>Tidemark</title>";
const SCRIPT = "const answer = 42;\n";

async function openDashboard(t: { after(clean: () => Promise<void>): void }) {
  const folder = await makeTempFolder(t);
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), PAGE);
  await writeFile(join(folder, "assets/main-abc.js"), SCRIPT);
  await writeFile(join(folder, "build-stamp"), "x");
  return await openFace(t, { dashboard: await readDashboard(folder) });
}

describe("the dashboard's pages", () => {
  test("are one document under a policy that lets in nothing from elsewhere", async (t) => {
    const face = await openDashboard(t);
    for (const path of ["/", "/login", "/apps", "/apps/my-app/databases/ad-1/backups", "/account", "/platform/queue"]) {
      const response = await fetch(`${face.url}${path}`);
      assert.equal(response.status, 200, path);
      assert.equal(await response.text(), PAGE);
      const policy = response.headers.get("Content-Security-Policy") ?? "";
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
      assert.doesNotMatch(policy, /unsafe|\*|http/);
      assert.equal(response.headers.get("Cache-Control"), "no-cache");
      assert.equal(response.headers.get("X-Frame-Options"), "DENY");
    }
  });

  test("leave all other addresses their JSON", async (t) => {
    const face = await openDashboard(t);
    for (const path of ["/v1/nothing", "/api/nothing", "/nothing", "/build-stamp", "/assets/none.js", "/index.html"]) {
      const response = await fetch(`${face.url}${path}`);
      assert.equal(response.status, 404, path);
      assert.match(response.headers.get("Content-Type") ?? "", /^application\/json/);
      assert.equal(response.headers.get("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'");
      await response.arrayBuffer();
    }
  });

  test("say how to build it when it was not built", async (t) => {
    const face = await openFace(t, { dashboard: await readDashboard(join(await makeTempFolder(t), "none")) });
    const response = await fetch(`${face.url}/`);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /npm start/);
  });
});

describe("the dashboard's files", () => {
  test("are kept by browsers for good when their name holds their hash, and compressed for those that take it", async (t) => {
    const face = await openDashboard(t);
    const compressed = await fetch(`${face.url}/assets/main-abc.js`);
    assert.equal(await compressed.text(), SCRIPT);
    assert.equal(compressed.headers.get("Content-Encoding"), "gzip");
    assert.equal(compressed.headers.get("Cache-Control"), "public, max-age=31536000, immutable");
    assert.match(compressed.headers.get("Content-Type") ?? "", /^text\/javascript/);
    const plain = await fetch(`${face.url}/assets/main-abc.js`, { headers: { "Accept-Encoding": "identity" } });
    assert.equal(plain.headers.get("Content-Encoding"), null);
    assert.equal(await plain.text(), SCRIPT);
  });

  test("are not sent again to a browser that has them", async (t) => {
    const face = await openDashboard(t);
    const first = await fetch(`${face.url}/`);
    await first.arrayBuffer();
    const headers = { "If-None-Match": first.headers.get("ETag") ?? "" };
    const second = await fetch(`${face.url}/`, { headers });
    assert.equal(second.status, 304);
    assert.equal(second.headers.get("Content-Security-Policy"), first.headers.get("Content-Security-Policy"));
  });

  test("can't lead out of their folder", async (t) => {
    const face = await openDashboard(t);
    for (const path of ["/assets/..%2findex.html", "/assets/%2e%2e%2fbuild-stamp", "/assets/..%2f..%2fpackage.json"]) {
      const response = await fetch(`${face.url}${path}`);
      assert.equal(response.status, 404, path);
      await response.arrayBuffer();
    }
  });
});
