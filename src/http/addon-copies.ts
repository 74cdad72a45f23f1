import { createRoute, z } from "@hono/zod-openapi";
import type { AddonCopy } from "../control/addon-copy-service.ts";
import { AddonJson, viewAddon } from "./addons.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** The longest moment: a restore point's name, with what says that it is one. */
const MOMENT_CHARS_MAX = 200;
const NAME_CHARS_MAX = 32;

const AddonCopyJson = z
  .object({
    id: z.string(),
    database_id: z.string().openapi({ description: "The new database" }),
    resource_id: z.string(),
    source_database_id: z.string(),
    target: z.string(),
    status: z.enum(["scheduled", "running", "done", "error"]).openapi({
      description: "Of building the data; the addon runs when its server was started after that",
    }),
    progress_bytes: z.int(),
    total_bytes: z.int().nullable(),
    target_lsn: z.string().nullable().openapi({ description: "Start of the last record of log that is in" }),
    created_at: timestamp,
    ended_at: optionalTimestamp,
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }).nullable(),
  })
  .openapi("AddonCopy");

const createAddonCopy = createRoute({
  operationId: "createAddonCopy",
  method: "post",
  path: "/v1/apps/{app}/addons/{addon}/copies",
  summary: "Make a new database of the app from another one's continuous backups, as it was at a moment",
  ...byUser,
  request: {
    params: z.object({ app: pathName, addon: pathName }),
    body: jsonBody(
      fields({
        copy: fields({
          name: plainText(NAME_CHARS_MAX).openapi({ description: "Of the new addon in its app: `staging`" }),
          target: plainText(MOMENT_CHARS_MAX).openapi({
            description: "`latest`, a time with its zone, a position, a transaction, or a restore point's name",
          }),
          exclusive: z.boolean({ error: "must be true or false" }).nullish(),
          branch: z.int({ error: "must be a number" }).positive({ error: "must be a number" }).nullish(),
        }),
      }),
    ),
  },
  responses: {
    201: answer(
      "Begun; the addon is in the status `provisioning`",
      z.object({ copy: AddonCopyJson, addon: AddonJson, variables: z.array(z.string()) }),
    ),
    ...bodyRefusals(401, 403, 404, 409),
  },
});

const showAddonCopy = createRoute({
  operationId: "showAddonCopy",
  method: "get",
  path: "/v1/apps/{app}/copies/{id}",
  summary: "Show how far a copy of a database is",
  ...byUser,
  request: { params: z.object({ app: pathName, id: pathName }) },
  responses: { 200: answer("The copy", z.object({ copy: AddonCopyJson })), ...refusals(401, 404) },
});

export function registerAddonCopies(router: Router): void {
  router.openapi(createAddonCopy, async (c) => {
    const { app, addon } = c.req.valid("param");
    const { name, target, exclusive, branch } = c.req.valid("json").copy;
    const wish = { name, target, isExclusive: exclusive ?? false, branch: branch ?? null };
    const made = await c.var.face.services.addonCopies.create(c.var.principal, app, addon, wish);
    const { copy, variables } = made;
    return c.json({ copy: viewCopy(copy), addon: viewAddon(made.addon), variables: [...variables] }, 201);
  });
  router.openapi(showAddonCopy, async (c) => {
    const { app, id } = c.req.valid("param");
    const copy = await c.var.face.services.addonCopies.show(c.var.principal, app, id);
    return c.json({ copy: viewCopy(copy) }, 200);
  });
}

function viewCopy(copy: AddonCopy): z.infer<typeof AddonCopyJson> {
  return {
    id: copy.id,
    database_id: copy.addonId,
    resource_id: copy.resourceId,
    source_database_id: copy.sourceAddonId,
    target: copy.target,
    status: copy.status,
    progress_bytes: copy.progressBytes,
    total_bytes: copy.totalBytes,
    target_lsn: copy.targetLsn,
    created_at: copy.createdAt.toISOString(),
    ended_at: copy.endedAt?.toISOString() ?? null,
    error: copy.error,
  };
}
