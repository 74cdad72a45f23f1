import { createRoute, z } from "@hono/zod-openapi";
import type { User } from "../control/model.ts";
import { answer, bodyRefusals, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, plainText } from "./validation.ts";

export const UserJson = z
  .object({
    id: z.string(),
    username: z.string(),
    email: z.string(),
    fullname: z.string(),
    // Never `admin`: clients take that flag for staff of a hosting company and ask for consent before each command.
    flags: z.record(z.string(), z.boolean()),
    created_at: timestamp,
    platform_owner: z.boolean().openapi({ description: "May make users" }),
  })
  .openapi("User");

const showSelf = createRoute({
  operationId: "showSelf",
  method: "get",
  path: "/v1/users/self",
  summary: "Who you are",
  ...byUser,
  responses: { 200: answer("You", z.object({ user: UserJson })), ...refusals(401) },
});

const createUser = createRoute({
  operationId: "createUser",
  method: "post",
  path: "/v1/users",
  summary: "Make a user; for the platform's owner",
  ...byUser,
  request: {
    body: jsonBody(
      fields({
        user: fields({
          username: plainText(255),
          email: plainText(255),
          fullname: plainText(255).default(""),
          password: plainText(1024),
        }),
      }),
    ),
  },
  responses: { 201: answer("Made", z.object({ user: UserJson })), ...bodyRefusals(401, 403) },
});

export function registerUsers(router: Router): void {
  router.openapi(showSelf, async (c) =>
    c.json({ user: viewUser(await c.var.face.services.identity.self(c.var.principal)) }, 200),
  );
  router.openapi(createUser, async (c) => {
    const user = await c.var.face.services.identity.createUser(c.var.principal, c.req.valid("json").user);
    return c.json({ user: viewUser(user) }, 201);
  });
}

export function viewUser(user: User): z.infer<typeof UserJson> {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    fullname: user.fullname,
    flags: {},
    created_at: user.createdAt.toISOString(),
    platform_owner: user.isPlatformOwner,
  };
}
