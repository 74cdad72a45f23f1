import { createRoute, z } from "@hono/zod-openapi";
import type { SshKey } from "../control/key-service.ts";
import { TidemarkError } from "../core/errors.ts";
import { answer, bodyRefusals, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** A file of public keys is a few hundred bytes: this leaves room for anything that could be one. */
const CONTENT_CHARACTERS_MAX = 16_384;

const Key = z
  .object({ id: z.string(), name: z.string(), content: z.string(), fingerprint: z.string(), created_at: timestamp })
  .openapi("SshKey");
const keyReply = z.object({ key: Key });
const name = plainText(255);
/** With the end of its line, as the file has it. */
const content = z
  .string({ error: (issue) => (issue.input === undefined ? "is required" : "must be text") })
  .max(CONTENT_CHARACTERS_MAX, { error: `must have at most ${CONTENT_CHARACTERS_MAX} characters` })
  .openapi({ description: "The line of a .pub file: Ed25519, ECDSA, or RSA of 2048 bits or more" });
const params = z.object({ id: pathName });

const listKeys = createRoute({
  operationId: "listKeys",
  method: "get",
  path: "/v1/keys",
  summary: "List your SSH keys in order of addition",
  ...byUser,
  responses: { 200: answer("Your keys", z.object({ keys: z.array(Key) })), ...refusals(401) },
});

const showKey = createRoute({
  operationId: "showKey",
  method: "get",
  path: "/v1/keys/{id}",
  summary: "Show one of your SSH keys",
  ...byUser,
  request: { params },
  responses: { 200: answer("The key", keyReply), ...refusals(401, 404) },
});

const addKey = createRoute({
  operationId: "addKey",
  method: "post",
  path: "/v1/keys",
  summary: "Add a public SSH key",
  ...byUser,
  request: {
    // One of the clients of this API sends the fields without the noun around them.
    body: jsonBody(
      fields({ key: fields({ name, content }).optional(), name: name.optional(), content: content.optional() }),
    ),
  },
  responses: { 201: answer("Added", keyReply), ...bodyRefusals(401, 409) },
});

const removeKey = createRoute({
  operationId: "removeKey",
  method: "delete",
  path: "/v1/keys/{id}",
  summary: "Remove an SSH key; tunnels that it opened end",
  ...byUser,
  request: { params },
  responses: { 204: { description: "Removed" }, ...refusals(401, 404) },
});

export function registerKeys(router: Router): void {
  router.openapi(listKeys, async (c) => {
    const keys = await c.var.face.services.keys.list(c.var.principal);
    return c.json({ keys: keys.map(viewKey) }, 200);
  });
  router.openapi(showKey, async (c) =>
    c.json({ key: viewKey(await c.var.face.services.keys.show(c.var.principal, c.req.valid("param").id)) }, 200),
  );
  router.openapi(addKey, async (c) => {
    const body = c.req.valid("json");
    const input = body.key ?? body;
    if (input.name === undefined || input.content === undefined) {
      const missing = input.name === undefined ? "name" : "content";
      throw new TidemarkError("invalid_fields", `A key needs a ${missing}`, { fields: { [missing]: ["is required"] } });
    }
    const added = await c.var.face.services.keys.add(c.var.principal, { name: input.name, content: input.content });
    return c.json({ key: viewKey(added) }, 201);
  });
  router.openapi(removeKey, async (c) => {
    await c.var.face.services.keys.remove(c.var.principal, c.req.valid("param").id);
    return c.body(null, 204);
  });
}

function viewKey(key: SshKey): z.infer<typeof Key> {
  return {
    id: key.id,
    name: key.name,
    content: key.content,
    fingerprint: key.fingerprint,
    created_at: key.createdAt.toISOString(),
  };
}
