import { createRoute, z } from "@hono/zod-openapi";
import type { OneOff } from "../control/one-off-service.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName } from "./validation.ts";

const ContainerJson = z
  .object({
    id: z.string(),
    app_id: z.string(),
    label: z.string().openapi({ description: "`one-off-12`" }),
    type: z.literal("one-off"),
    type_index: z.int(),
    state: z.enum(["booting", "running", "stopped"]),
    command: z.string().openapi({ description: "Passwords in URIs left out" }),
    size: z.string(),
    container_size: z.object({ id: z.string(), name: z.string(), human_name: z.string() }),
    detached: z.boolean(),
    created_at: timestamp,
  })
  .openapi("Container", { description: "A one-off container; an app has no others here" });

const ContainerTypeJson = z
  .object({ name: z.string(), command: z.string(), amount: z.int(), size: z.string() })
  .openapi("ContainerType");

const OneOffOperationJson = z
  .object({
    id: z.string(),
    app_id: z.string(),
    created_at: timestamp,
    finished_at: optionalTimestamp,
    status: z.enum(["pending", "done", "error"]),
    type: z.literal("start-one-off"),
    error: z.string().nullable(),
    start_one_off_data: z.object({
      attach_url: z.string().nullable().openapi({
        description:
          "For who started it, while nobody is attached: CONNECT to it takes the terminal. Works once, for a minute",
      }),
      container_id: z.string(),
    }),
  })
  .openapi("OneOffOperation", { description: "The start of a one-off container" });

const params = z.object({ app: pathName });

const runOneOff = createRoute({
  operationId: "runOneOff",
  method: "post",
  path: "/v1/apps/{app}/run",
  summary: "Run a command in a one-off container, with the app's variables",
  ...byUser,
  request: {
    params,
    body: jsonBody(
      fields({
        command: z.string({ error: "must be text" }).openapi({ description: "For a shell" }),
        detached: z.boolean({ error: "must be true or false" }).nullish(),
        size: z
          .string({ error: "must be text" })
          .nullish()
          .openapi({ description: "S, M, L, XL or 2XL; M when absent" }),
        env: z.record(z.string(), z.string({ error: "must be text" }), { error: "must be texts by name" }).nullish(),
      }),
    ),
  },
  responses: {
    200: answer("It starts", z.object({ container: ContainerJson, operation_url: z.string() })),
    ...bodyRefusals(401, 403, 404, 409),
  },
});

const listOneOffs = createRoute({
  operationId: "listOneOffs",
  method: "get",
  path: "/v1/apps/{app}/ps",
  summary: "List the one-off containers that run",
  ...byUser,
  request: { params },
  responses: { 200: answer("By number", z.object({ containers: z.array(ContainerJson) })), ...refusals(401, 404) },
});

const listContainerTypes = createRoute({
  operationId: "listContainerTypes",
  method: "get",
  path: "/v1/apps/{app}/containers",
  summary: "List the types of an app's lasting containers, of which there are none",
  ...byUser,
  request: { params },
  responses: { 200: answer("Empty", z.object({ containers: z.array(ContainerTypeJson) })), ...refusals(401, 404) },
});

const showOneOffOperation = createRoute({
  operationId: "showOneOffOperation",
  method: "get",
  path: "/v1/apps/{app}/operations/{operation}",
  summary: "Show how the start of a one-off container goes",
  ...byUser,
  request: { params: params.extend({ operation: pathName }) },
  responses: {
    200: answer("The operation", z.object({ operation: OneOffOperationJson })),
    ...refusals(401, 403, 404),
  },
});

const stopOneOff = createRoute({
  operationId: "stopOneOff",
  method: "post",
  path: "/v1/apps/{app}/containers/{container}/stop",
  summary: "End a one-off container, by id or label",
  ...byUser,
  request: { params: params.extend({ container: pathName }) },
  responses: { 202: answer("It is being ended", z.object({})), ...refusals(401, 403, 404) },
});

export function registerOneOffs(router: Router): void {
  router.openapi(runOneOff, async (c) => {
    const { app } = c.req.valid("param");
    const { command, detached, size, env } = c.req.valid("json");
    const { region, services } = c.var.face;
    const oneOff = await services.oneOffs.run(c.var.principal, app, {
      command,
      isDetached: detached ?? false,
      // Clients send the empty text for the usual size.
      size: size === undefined || size === "" ? null : size,
      environment: env ?? {},
    });
    const url = `${region.publicUrl}/v1/apps/${oneOff.appId}/operations/${oneOff.id}`;
    c.header("Location", url);
    return c.json({ container: viewContainer(oneOff), operation_url: url }, 200);
  });
  router.openapi(listOneOffs, async (c) => {
    const oneOffs = await c.var.face.services.oneOffs.list(c.var.principal, c.req.valid("param").app);
    return c.json({ containers: oneOffs.map(viewContainer) }, 200);
  });
  router.openapi(listContainerTypes, async (c) => {
    await c.var.face.services.apps.show(c.var.principal, c.req.valid("param").app);
    return c.json({ containers: [] }, 200);
  });
  router.openapi(showOneOffOperation, async (c) => {
    const { app, operation } = c.req.valid("param");
    const oneOff = await c.var.face.services.oneOffs.show(c.var.principal, app, operation);
    return c.json({ operation: viewOperation(oneOff) }, 200);
  });
  router.openapi(stopOneOff, async (c) => {
    const { app, container } = c.req.valid("param");
    await c.var.face.services.oneOffs.stop(c.var.principal, app, container);
    return c.json({}, 202);
  });
}

const STATES = { starting: "booting", running: "running", ended: "stopped" } as const;

function viewContainer(oneOff: OneOff): z.infer<typeof ContainerJson> {
  return {
    id: oneOff.id,
    app_id: oneOff.appId,
    label: oneOff.label,
    type: "one-off",
    type_index: Number(oneOff.label.replace(/^.*-/, "")),
    state: STATES[oneOff.state],
    command: oneOff.command,
    size: oneOff.size,
    container_size: { id: oneOff.size, name: oneOff.size, human_name: oneOff.size },
    detached: oneOff.isDetached,
    created_at: oneOff.createdAt.toISOString(),
  };
}

function viewOperation(oneOff: OneOff): z.infer<typeof OneOffOperationJson> {
  const { error, readyAt } = oneOff;
  const hint = error === null || error.hint === null ? "" : `. ${error.hint}`;
  return {
    id: oneOff.id,
    app_id: oneOff.appId,
    created_at: oneOff.createdAt.toISOString(),
    finished_at: readyAt?.toISOString() ?? null,
    status: error !== null ? "error" : readyAt === null ? "pending" : "done",
    type: "start-one-off",
    error: error === null ? null : `${error.message}${hint}`,
    start_one_off_data: { attach_url: oneOff.attachUrl, container_id: oneOff.id },
  };
}
