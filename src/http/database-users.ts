import { createRoute, z } from "@hono/zod-openapi";
import type { DatabaseUser } from "../control/database-services.ts";
import { TidemarkError } from "../core/errors.ts";
import { answer, bodyRefusals, refusals } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

/** Longer than any name or password that is allowed. */
const TEXT_CHARS_MAX = 255;

const UserJson = z
  .object({
    name: z.string(),
    read_only: z.boolean(),
    protected: z.boolean().openapi({ description: "The platform's: can't be changed or deleted" }),
    dbms_attributes: z.object({ password_encryption: z.string() }).nullable(),
  })
  .openapi("DatabaseUser");
const UserWithPassword = UserJson.extend({
  password: z.string().optional().openapi({ description: "Told once, when the platform made it" }),
}).openapi("DatabaseUserWithPassword");

const password = plainText(TEXT_CHARS_MAX)
  .nullish()
  .openapi({ description: "24 to 64 characters; null or empty: the platform makes one and tells it" });
const passwordConfirmation = plainText(TEXT_CHARS_MAX).nullish();
const databaseParams = z.object({ addon: pathName });
const userParams = z.object({ addon: pathName, user: pathName });
/** The API's documentation has the fields at the top, its clients read them below the noun: both find them. */
const oneUser = (description: string) =>
  answer(description, UserWithPassword.extend({ database_user: UserWithPassword }).openapi("OneDatabaseUser"));

const listUsers = createRoute({
  operationId: "listDatabaseUsers",
  method: "get",
  path: "/api/databases/{addon}/users",
  summary: "List who may log in to a database",
  ...byDatabaseToken,
  request: { params: databaseParams },
  responses: {
    200: answer("The owner first, then by name", z.object({ "database-users": z.array(UserJson) })),
    ...refusals(401, 404, 409),
  },
});

const createUser = createRoute({
  operationId: "createDatabaseUser",
  method: "post",
  path: "/api/databases/{addon}/users",
  summary: "Make a user of a database",
  ...byDatabaseToken,
  request: {
    params: databaseParams,
    body: jsonBody(
      fields({
        database_user: fields({
          name: plainText(TEXT_CHARS_MAX),
          read_only: z.boolean({ error: "must be true or false" }).nullish(),
          password,
          password_confirmation: passwordConfirmation,
        }),
      }),
    ),
  },
  responses: { 201: oneUser("The user"), ...bodyRefusals(401, 403, 404, 409) },
});

const changeUser = createRoute({
  operationId: "changeDatabaseUser",
  method: "patch",
  path: "/api/databases/{addon}/users/{user}",
  summary: "Give a user of a database another password",
  ...byDatabaseToken,
  request: {
    params: userParams,
    body: jsonBody(fields({ database_user: fields({ password, password_confirmation: passwordConfirmation }) })),
  },
  responses: { 200: oneUser("The user"), ...bodyRefusals(401, 403, 404, 409) },
});

const resetPassword = createRoute({
  operationId: "resetDatabaseUserPassword",
  method: "post",
  path: "/api/databases/{addon}/users/{user}/reset_password",
  summary: "Have the platform make a new password for a user of a database",
  ...byDatabaseToken,
  request: { params: userParams },
  responses: { 200: oneUser("The user, with the password"), ...refusals(401, 403, 404, 409) },
});

const removeUser = createRoute({
  operationId: "deleteDatabaseUser",
  method: "delete",
  path: "/api/databases/{addon}/users/{user}",
  summary: "Delete a user of a database; what it owns goes to the database's owner",
  ...byDatabaseToken,
  request: { params: userParams },
  responses: { 204: { description: "Deleted" }, ...refusals(401, 403, 404, 409) },
});

export function registerDatabaseUsers(router: Router): void {
  router.openapi(listUsers, async (c) => {
    const users = await c.var.face.services.databaseUsers.list(c.var.caller, c.req.valid("param").addon);
    return c.json({ "database-users": users.map(viewUser) }, 200);
  });
  router.openapi(createUser, async (c) => {
    const asked = c.req.valid("json").database_user;
    const input = { name: asked.name, isReadOnly: asked.read_only ?? false, password: readPassword(asked) };
    const made = await c.var.face.services.databaseUsers.create(c.var.caller, c.req.valid("param").addon, input);
    return c.json(viewOne(made), 201);
  });
  router.openapi(changeUser, async (c) => {
    const { addon, user: name } = c.req.valid("param");
    const input = { name, password: readPassword(c.req.valid("json").database_user) };
    const changed = await c.var.face.services.databaseUsers.setPassword(c.var.caller, addon, input);
    return c.json(viewOne(changed), 200);
  });
  router.openapi(resetPassword, async (c) => {
    const { addon, user: name } = c.req.valid("param");
    const input = { name, password: null };
    const changed = await c.var.face.services.databaseUsers.setPassword(c.var.caller, addon, input);
    return c.json(viewOne(changed), 200);
  });
  router.openapi(removeUser, async (c) => {
    const { addon, user: name } = c.req.valid("param");
    await c.var.face.services.databaseUsers.remove(c.var.caller, addon, name);
    return c.body(null, 204);
  });
}

/** Null where the platform is to make one. */
function readPassword(asked: {
  password?: string | null | undefined;
  password_confirmation?: string | null | undefined;
}): string | null {
  const typed = asked.password ?? "";
  if (typed === "") return null;
  const again = asked.password_confirmation ?? typed;
  if (again === typed) return typed;
  throw new TidemarkError("invalid_fields", "The two passwords differ", {
    fields: { password_confirmation: ["is not the password"] },
  });
}

function viewUser({ name, isReadOnly, isProtected, passwordEncryption }: DatabaseUser): z.infer<typeof UserJson> {
  return {
    name,
    read_only: isReadOnly,
    protected: isProtected,
    dbms_attributes: passwordEncryption === null ? null : { password_encryption: passwordEncryption },
  };
}

function viewOne(changed: { user: DatabaseUser; generatedPassword: string | null }) {
  const view = viewWithPassword(changed);
  return { ...view, database_user: view };
}

function viewWithPassword({
  user,
  generatedPassword,
}: {
  user: DatabaseUser;
  generatedPassword: string | null;
}): z.infer<typeof UserWithPassword> {
  return { ...viewUser(user), ...(generatedPassword === null ? {} : { password: generatedPassword }) };
}
