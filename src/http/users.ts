import { createRoute, z } from "@hono/zod-openapi";
import type { ListedUser as ListedUserFacts } from "../control/users-service.ts";
import type { User } from "../control/model.ts";
import { answer, bodyRefusals, refusals, timestamp } from "./api-schemas.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

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

const ListedUser = UserJson.extend({ two_factor: z.boolean() }).openapi("ListedUser");

const listUsers = createRoute({
  operationId: "listUsers",
  method: "get",
  path: "/v1/users",
  summary: "List all users by name; for the platform's owner",
  ...byUser,
  responses: { 200: answer("The users", z.object({ users: z.array(ListedUser) })), ...refusals(401, 403) },
});

const changeAccount = createRoute({
  operationId: "changeAccount",
  method: "put",
  path: "/v1/users/account",
  summary: "Change your account; a new password logs you out everywhere, API tokens excepted",
  ...byUser,
  request: {
    body: jsonBody(
      fields({
        user: fields({
          email: plainText(255).optional(),
          fullname: plainText(255).optional(),
          password: plainText(1024).optional(),
          current_password: plainText(1024)
            .optional()
            .openapi({ description: "Needed with a new password or e-mail address" }),
        }),
      }),
    ),
  },
  responses: { 200: answer("You", z.object({ user: UserJson })), ...bodyRefusals(401, 429) },
});

const resetUser = createRoute({
  operationId: "resetUser",
  method: "post",
  path: "/v1/users/{id}/reset",
  summary: "Give a user a new password, and no second factor; for the platform's owner",
  ...byUser,
  request: {
    params: z.object({ id: pathName }),
    body: jsonBody(fields({ user: fields({ password: plainText(1024) }) })),
  },
  responses: { 200: answer("The user", z.object({ user: UserJson })), ...bodyRefusals(401, 404, 409) },
});

const removeUser = createRoute({
  operationId: "removeUser",
  method: "delete",
  path: "/v1/users/{id}",
  summary: "Remove a user who owns no app; for the platform's owner",
  ...byUser,
  request: { params: z.object({ id: pathName }) },
  responses: { 204: { description: "Removed" }, ...refusals(401, 404, 409) },
});

export function registerUsers(router: Router): void {
  router.openapi(listUsers, async (c) => {
    const listed = await c.var.face.services.users.list(c.var.principal);
    return c.json({ users: listed.map(viewListedUser) }, 200);
  });
  router.openapi(changeAccount, async (c) => {
    const { current_password: currentPassword, ...change } = c.req.valid("json").user;
    const user = await c.var.face.services.users.changeAccount(c.var.principal, { ...change, currentPassword });
    return c.json({ user: viewUser(user) }, 200);
  });
  router.openapi(resetUser, async (c) => {
    const { password } = c.req.valid("json").user;
    const user = await c.var.face.services.users.reset(c.var.principal, c.req.valid("param").id, { password });
    return c.json({ user: viewUser(user) }, 200);
  });
  router.openapi(removeUser, async (c) => {
    await c.var.face.services.users.remove(c.var.principal, c.req.valid("param").id);
    return c.body(null, 204);
  });
  router.openapi(showSelf, async (c) =>
    c.json({ user: viewUser(await c.var.face.services.identity.self(c.var.principal)) }, 200),
  );
  router.openapi(createUser, async (c) => {
    const user = await c.var.face.services.identity.createUser(c.var.principal, c.req.valid("json").user);
    return c.json({ user: viewUser(user) }, 201);
  });
}

function viewListedUser(user: ListedUserFacts): z.infer<typeof ListedUser> {
  return { ...viewUser(user), two_factor: user.hasSecondFactor };
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
