import { createRoute, z } from "@hono/zod-openapi";
import type { Collaborator } from "../control/collaborator-service.ts";
import { answer, bodyRefusals, refusals, timestamp } from "./api-schemas.ts";
import { AppJson, viewApp } from "./apps.ts";
import { byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

const CollaboratorJson = z
  .object({
    id: z.string(),
    app_id: z.string(),
    app_name: z.string(),
    email: z.string(),
    username: z.string().openapi({ description: "Empty until the invitation is accepted" }),
    user_id: z.string().nullable(),
    status: z.enum(["accepted", "pending"]),
    is_limited: z.boolean().openapi({ description: "May look, and nothing else" }),
    created_at: timestamp,
  })
  .openapi("Collaborator");
const Added = CollaboratorJson.extend({
  invitation_link: z.string().nullable().openapi({
    description: "To be sent to the address that was invited; shown this once. Null for a user, who was added at once",
  }),
}).openapi("AddedCollaborator");

const isLimited = z.boolean({ error: "must be true or false" });
const appParams = z.object({ app: pathName });
const collaboratorParams = z.object({ app: pathName, id: pathName });

const listCollaborators = createRoute({
  operationId: "listCollaborators",
  method: "get",
  path: "/v1/apps/{app}/collaborators",
  summary: "List an app's collaborators in order of addition",
  ...byUser,
  request: { params: appParams },
  responses: {
    200: answer("Without the owner", z.object({ collaborators: z.array(CollaboratorJson) })),
    ...refusals(401, 404),
  },
});

const listAllCollaborators = createRoute({
  operationId: "listAllCollaborators",
  method: "get",
  path: "/v1/collaborators",
  summary: "List the collaborators of all apps that you own",
  ...byUser,
  responses: {
    200: answer("By order of addition", z.object({ collaborators: z.array(CollaboratorJson) })),
    ...refusals(401),
  },
});

const addCollaborator = createRoute({
  operationId: "addCollaborator",
  method: "post",
  path: "/v1/apps/{app}/collaborators",
  summary: "Add a user, or invite an e-mail address; for the app's owner",
  ...byUser,
  request: {
    params: appParams,
    body: jsonBody(
      fields({
        collaborator: fields({
          email: plainText(255).openapi({ description: "E-mail address, or a user's name" }),
          is_limited: isLimited.nullish(),
        }),
      }),
    ),
  },
  responses: { 201: answer("Added", z.object({ collaborator: Added })), ...bodyRefusals(401, 403, 404, 409) },
});

const changeCollaborator = createRoute({
  operationId: "changeCollaborator",
  method: "patch",
  path: "/v1/apps/{app}/collaborators/{id}",
  summary: "Change a collaborator's role; for the app's owner",
  ...byUser,
  request: {
    params: collaboratorParams,
    body: jsonBody(fields({ collaborator: fields({ is_limited: isLimited }) })),
  },
  responses: {
    200: answer("Changed", z.object({ collaborator: CollaboratorJson })),
    ...bodyRefusals(401, 403, 404),
  },
});

const removeCollaborator = createRoute({
  operationId: "removeCollaborator",
  method: "delete",
  path: "/v1/apps/{app}/collaborators/{id}",
  summary: "Remove a collaborator or an invitation; for the app's owner, or to leave the app",
  ...byUser,
  request: { params: collaboratorParams },
  responses: { 204: { description: "Removed" }, ...refusals(401, 403, 404) },
});

const acceptInvitation = createRoute({
  operationId: "acceptInvitation",
  method: "get",
  path: "/v1/apps/collaboration",
  summary: "Accept an invitation",
  ...byUser,
  request: { query: z.object({ token: plainText(255).openapi({ description: "The end of the invitation's link" }) }) },
  responses: { 200: answer("The app", z.object({ app: AppJson })), ...refusals(401, 404, 409, 422) },
});

/** Before the routes of apps: `collaboration` stands where those have a name. */
export function registerCollaborators(router: Router): void {
  router.openapi(acceptInvitation, async (c) => {
    const app = await c.var.face.services.collaborators.accept(c.var.principal, c.req.valid("query").token);
    return c.json({ app: viewApp(app, c.var.face.region.name) }, 200);
  });
  router.openapi(listCollaborators, async (c) => {
    const { collaborators } = c.var.face.services;
    const listed = await collaborators.list(c.var.principal, c.req.valid("param").app);
    return c.json({ collaborators: listed.map(viewCollaborator) }, 200);
  });
  router.openapi(listAllCollaborators, async (c) => {
    const listed = await c.var.face.services.collaborators.listOfOwner(c.var.principal);
    return c.json({ collaborators: listed.map(viewCollaborator) }, 200);
  });
  router.openapi(addCollaborator, async (c) => {
    const { email, is_limited: limited } = c.req.valid("json").collaborator;
    const input = { who: email, role: roleOf(limited ?? false) };
    const added = await c.var.face.services.collaborators.add(c.var.principal, c.req.valid("param").app, input);
    return c.json({ collaborator: { ...viewCollaborator(added), invitation_link: added.invitationLink } }, 201);
  });
  router.openapi(changeCollaborator, async (c) => {
    const { app, id } = c.req.valid("param");
    const change = { collaboratorId: id, role: roleOf(c.req.valid("json").collaborator.is_limited) };
    const changed = await c.var.face.services.collaborators.changeRole(c.var.principal, app, change);
    return c.json({ collaborator: viewCollaborator(changed) }, 200);
  });
  router.openapi(removeCollaborator, async (c) => {
    const { app, id } = c.req.valid("param");
    await c.var.face.services.collaborators.remove(c.var.principal, app, id);
    return c.body(null, 204);
  });
}

function roleOf(limited: boolean): Collaborator["role"] {
  return limited ? "limited" : "collaborator";
}

function viewCollaborator(collaborator: Collaborator): z.infer<typeof CollaboratorJson> {
  return {
    id: collaborator.id,
    app_id: collaborator.appId,
    app_name: collaborator.appName,
    email: collaborator.email,
    username: collaborator.user?.username ?? "",
    user_id: collaborator.user?.id ?? null,
    status: collaborator.status,
    is_limited: collaborator.role === "limited",
    created_at: collaborator.createdAt.toISOString(),
  };
}
