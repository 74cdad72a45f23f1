import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { openapiReference } from "../../scripts/generate-openapi.ts";
import { emptyRouter, registerRoutes } from "../../src/http/routes.ts";
import { readText } from "../harness/source-files.ts";
import { openFace } from "./open-face.ts";

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: unknown }>>;
}

interface ApiDocument {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const face = await openFace({ after });
const text = await (await fetch(`${face.url}/openapi.json`)).text();
// Its shape is what these tests are about.
const document = JSON.parse(text) as ApiDocument;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

/** Open to everyone: what the platform is and offers, the same for all, and downloads, whose address is signed. */
const WITHOUT_CREDENTIALS = new Set([
  "GET /healthz",
  "GET /v1/regions",
  "GET /v1/features/stacks",
  "GET /v1/notification_platforms",
  "GET /v1/notification_platforms/search",
  "GET /v1/event_types",
  "GET /v1/event_categories",
  "GET /v1/addon_providers",
  "GET /v1/addon_providers/{provider}/plans",
  "GET /downloads/backups/{backup}",
  "GET /downloads/logs/{addon}",
  "GET /downloads/logs/{addon}/archive",
]);

describe("/openapi.json", () => {
  test("is what docs/reference/openapi.json holds (node scripts/generate-openapi.ts)", () => {
    assert.deepEqual(JSON.parse(readText("docs/reference/openapi.json")), JSON.parse(openapiReference()));
    assert.deepEqual(document.paths, JSON.parse(openapiReference()).paths);
  });

  test("is OpenAPI 3.1 whose references all lead somewhere", () => {
    assert.match(document.openapi, /^3\.1\.\d+$/);
    const references = [...text.matchAll(/"\$ref":"#\/components\/([^/]+)\/([^"]+)"/g)];
    assert.ok(references.length > 50);
    for (const [reference, kind = "", name = ""] of references)
      assert.ok(document.components[kind]?.[name] !== undefined, reference);
  });

  test("describes each operation: id, summary, security, path parameters, answers", () => {
    assert.ok(operations.length >= 24);
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const { path, method, operation } of operations) {
      const title = `${method} ${path}`;
      assert.ok(operation.summary.length > 0, title);
      for (const scheme of operation.security.flatMap((requirement) => Object.keys(requirement)))
        assert.ok(document.components["securitySchemes"]?.[scheme] !== undefined, title);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      assert.deepEqual(
        declared.map(({ name }) => name),
        inPath,
        title,
      );
      const statuses = Object.keys(operation.responses);
      assert.ok(
        statuses.some((status) => status.startsWith("2")),
        title,
      );
      if (operation.security.length > 0) assert.ok(statuses.includes("401") && statuses.includes("500"), title);
      if (operation.requestBody !== undefined) assert.ok(statuses.includes("422"), title);
    }
  });

  test("has every route", () => {
    const router = emptyRouter();
    registerRoutes(router);
    const routes = router.routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    const described = operations.map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual([...new Set(routes)].toSorted(), described.toSorted());
  });
});

describe("every route", () => {
  for (const { path, method, operation } of operations) {
    const title = `${method} ${path}`;
    if (WITHOUT_CREDENTIALS.has(title))
      test(`${title} is open, and says so`, () => {
        assert.deepEqual(operation.security, []);
      });
    else
      test(`${title} refuses callers without credentials`, async () => {
        assert.ok(operation.security.length > 0);
        const response = await fetch(`${face.url}${path.replaceAll(/\{\w+\}/g, "x")}`, { method });
        assert.equal(response.status, 401);
        await response.arrayBuffer();
      });
  }
});
