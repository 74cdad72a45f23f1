import { createRoute, z } from "@hono/zod-openapi";
import { TidemarkError } from "../core/errors.ts";
import { answer, bodyRefusals, refusals } from "./api-schemas.ts";
import { bySessionAsPassword } from "./authentication.ts";
import type { Router } from "./context.ts";
import { readMultipartFile } from "./multipart-file.ts";
import { fields, jsonBody, pathName } from "./validation.ts";

const params = z.object({ reference: pathName });
/** As `ioctl_tty(2)` has them: 16 bits; larger ones than any screen mean nothing. */
const CELLS_MAX = 4096;
/** Clients send texts, and their documentation has numbers. */
const cells = z.coerce.number({ error: "must be a number" }).int().min(1).max(CELLS_MAX);

const resizeTerminal = createRoute({
  operationId: "resizeTerminal",
  method: "put",
  path: "/attach/{reference}",
  summary: "Tell a one-off container the size of its terminal",
  description: "CONNECT to this address takes the terminal itself: bytes both ways, without framing.",
  ...bySessionAsPassword,
  request: { params, body: jsonBody(fields({ width: cells, height: cells })) },
  responses: { 200: answer("Told", z.object({})), ...bodyRefusals(401, 403, 404) },
});

const uploadFile = createRoute({
  operationId: "uploadFile",
  method: "post",
  path: "/attach/{reference}/files",
  summary: "Put a file into /tmp/uploads of a one-off container, before its command begins",
  ...bySessionAsPassword,
  request: {
    params,
    body: {
      required: true,
      content: {
        "multipart/form-data": { schema: z.any().openapi({ type: "object", description: "One part, named `file`" }) },
      },
    },
  },
  responses: { 200: answer("Taken", z.object({})), ...bodyRefusals(401, 403, 404, 409) },
});

const waitForEnd = createRoute({
  operationId: "waitForOneOff",
  method: "get",
  path: "/attach/{reference}/wait",
  summary: "Wait for the end of a one-off container",
  ...bySessionAsPassword,
  request: { params },
  responses: {
    200: answer("It ended", z.object({ exit_code: z.int() })),
    408: answer("It was ended because nothing was typed or printed for too long", z.object({ exit_code: z.int() })),
    ...refusals(401, 403, 404, 409),
  },
});

export function registerAttachments(router: Router): void {
  router.openapi(resizeTerminal, async (c) => {
    const { width, height } = c.req.valid("json");
    const size = { columns: width, rows: height };
    await c.var.face.services.oneOffs.resize(c.var.principal, c.req.valid("param").reference, size);
    return c.json({}, 200);
  });
  router.openAPIRegistry.registerPath(uploadFile);
  // Registered by hand: the body is a stream, which the framework's validation would gather in memory.
  router.post(uploadFile.getRoutingPath(), bySessionAsPassword.middleware, async (c) => {
    const reference = pathName.safeParse(c.req.param("reference")).data;
    if (reference === undefined) throw new TidemarkError("not_found", "There is nothing at this address");
    const openFile = () => readMultipartFile(c.env.incoming, c.req.header("Content-Type"));
    await c.var.face.services.oneOffs.upload(c.var.principal, reference, openFile, c.req.raw.signal);
    return c.json({}, 200);
  });
  router.openapi(waitForEnd, async (c) => {
    const { reference } = c.req.valid("param");
    const { oneOffs } = c.var.face.services;
    const end = await oneOffs.wait(c.var.principal, reference, c.req.raw.signal);
    return c.json({ exit_code: end.exitCode }, end.wasInactive ? 408 : 200);
  });
}
