import { createRoute, z } from "@hono/zod-openapi";
import { stream } from "hono/streaming";
import { answer, refusals } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { pathName, plainText } from "./validation.ts";

const LINES_DEFAULT = 100;
/** A dump is made in memory. */
const LINES_MAX = 10_000;

const linkDatabaseLog = createRoute({
  operationId: "linkDatabaseLog",
  method: "get",
  path: "/api/databases/{addon}/logs",
  summary: "Get an address that opens the log of a database's server for an hour, without a token",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }) },
  responses: { 200: answer("The address", z.object({ url: z.string() })), ...refusals(401, 404, 409) },
});

const LogArchiveJson = z
  .object({
    url: z.string().openapi({ description: "Opens it for an hour, without a token" }),
    from: z.string(),
    to: z.string(),
    size: z.int(),
  })
  .openapi("LogArchive");

const listLogArchives = createRoute({
  operationId: "listLogArchives",
  method: "get",
  path: "/api/databases/{addon}/logs_archives",
  summary: "List what was set aside of the log of a database's server, newest first",
  ...byDatabaseToken,
  request: {
    params: z.object({ addon: pathName }),
    query: z.object({ page: z.coerce.number().int().min(1).catch(1).openapi({ type: "integer" }) }),
  },
  responses: {
    200: answer(
      "The archives",
      z.object({ archives: z.array(LogArchiveJson), has_more: z.boolean(), next_cursor: z.string() }),
    ),
    ...refusals(401, 404, 409),
  },
});

const readLogArchive = createRoute({
  operationId: "readLogArchive",
  method: "get",
  path: "/downloads/logs/{addon}/archive",
  summary: "Read what was set aside of a log, by a signed address",
  security: [],
  request: {
    params: z.object({ addon: pathName }),
    query: z.object({ timestamp: linkPart(32), token: linkPart(512) }),
  },
  responses: {
    200: { description: "The lines", content: { "text/plain": { schema: z.string() } } },
    204: { description: "There are none" },
    ...refusals(403, 404),
  },
});

const readDatabaseLog = createRoute({
  operationId: "readDatabaseLog",
  method: "get",
  path: "/downloads/logs/{addon}",
  summary:
    "Read the last lines of a log by a signed address; as a WebSocket with `stream=true`, what is written from then on",
  security: [],
  request: {
    params: z.object({ addon: pathName }),
    query: z.object({
      timestamp: linkPart(32),
      token: linkPart(512),
      n: z.coerce
        .number()
        .int()
        .min(1)
        .max(LINES_MAX)
        .catch(LINES_DEFAULT)
        .openapi({ type: "integer", description: `How many lines, ${LINES_MAX} at most; default ${LINES_DEFAULT}` }),
    }),
  },
  responses: {
    200: { description: "The lines", content: { "text/plain": { schema: z.string() } } },
    204: { description: "There are none" },
    ...refusals(403, 404),
  },
});

export function registerDatabaseLogs(router: Router): void {
  router.openapi(linkDatabaseLog, async (c) => {
    const url = await c.var.face.services.databaseLogs.link(c.var.caller, c.req.valid("param").addon);
    return c.json({ url }, 200);
  });
  router.openapi(listLogArchives, async (c) => {
    const { addon } = c.req.valid("param");
    const found = await c.var.face.services.databaseLogs.archives(c.var.caller, addon);
    // They fit one page.
    const shown = c.req.valid("query").page === 1 ? found : [];
    const archives = shown.map(({ url, from, to, sizeBytes }) => ({
      url,
      from: from.toISOString(),
      to: to.toISOString(),
      size: sizeBytes,
    }));
    return c.json({ archives, has_more: false, next_cursor: "" }, 200);
  });
  router.openapi(readLogArchive, async (c) => {
    const { timestamp, token } = c.req.valid("query");
    const { addon: addonId } = c.req.valid("param");
    const log = await c.var.face.services.databaseLogs.open({ addonId, timestamp, token });
    const lines = await log.archive();
    if (lines === undefined) return c.body(null, 204);
    c.header("Content-Type", "text/plain; charset=UTF-8");
    return stream(c, async (output) => {
      for await (const line of lines) {
        if (output.aborted) return;
        await output.write(line);
      }
    });
  });
  router.openapi(readDatabaseLog, async (c) => {
    const { timestamp, token, n } = c.req.valid("query");
    const { addon: addonId } = c.req.valid("param");
    const log = await c.var.face.services.databaseLogs.open({ addonId, timestamp, token });
    const lines = await log.tail(n);
    return lines.length === 0 ? c.body(null, 204) : c.text(lines.join(""), 200);
  });
}

/** Missing or odd values become the empty text, which no address has. */
function linkPart(maxChars: number) {
  return plainText(maxChars).catch("").openapi({ type: "string" });
}
