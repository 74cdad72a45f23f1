import { createHash } from "node:crypto";
import { type Kysely, sql, type Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { randomText } from "../core/random.ts";
import { type AppRow, findApp } from "./access.ts";
import { appOf } from "./apps.ts";
import type { AddedCollaborator, Collaborator, CollaboratorService } from "./collaborator-service.ts";
import type { ControlContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { recordEvent } from "./events.ts";
import type { App, Principal } from "./model.ts";
import type { ControlSchema } from "./schema.ts";
import { isEmail } from "./user-input.ts";
import { findUser } from "./users.ts";

/** 238 random bits. */
const INVITATION_CHARACTERS = 40;
/** Long enough for a holiday, short enough that a forgotten mailbox opens nothing. */
const INVITATION_LIFETIME_MS = 14 * 24 * 3600_000;
/** More than any team has; keeps lists and a careless script bounded. */
const COLLABORATORS_PER_APP_MAX = 200;

type CollaboratorContext = Pick<ControlContext, "database" | "clock">;

/** `publicUrl`: the platform's address as users reach it; invitations point there. */
export function createCollaboratorService(
  context: CollaboratorContext & { readonly publicUrl: string },
): CollaboratorService {
  const { db } = context.database;
  return {
    async list(principal, app) {
      const { id } = await findApp(db, principal, app, "read");
      return await readCollaborators(db, { appId: id });
    },
    listOfOwner: (principal) => readCollaborators(db, { ownerId: principal.userId }),
    add: (principal, app, input) => addCollaborator(context, principal, { app, ...input }),
    changeRole: (principal, app, input) => changeRole(context, principal, { app, ...input }),
    remove: (principal, app, collaboratorId) => removeCollaborator(context, principal, { app, collaboratorId }),
    accept: (principal, token) => acceptInvitation(context, principal, token),
  };
}

async function addCollaborator(
  { database, clock, publicUrl }: CollaboratorContext & { readonly publicUrl: string },
  principal: Principal,
  input: { app: string; who: string; role: Collaborator["role"] },
): Promise<AddedCollaborator> {
  const { db } = database;
  const app = await findApp(db, principal, input.app, "own");
  const user = await findUser(database, input.who);
  if (user === undefined && !isEmail(input.who)) {
    throw refusedAddress(`There is no user "${input.who}"`, "is neither a user of this platform nor an e-mail address");
  }
  if (user?.id === app.owner_id) throw refusedAddress("The owner is no collaborator", "is the app's owner");
  const id = newObjectId(clock.now());
  const token = randomText(INVITATION_CHARACTERS);
  const invitation = {
    user_id: null,
    accepted_at: null,
    invitation_hash: hashToken(token),
    invitation_expires_at: new Date(clock.now().getTime() + INVITATION_LIFETIME_MS),
  };
  const membership = { accepted_at: clock.now(), invitation_hash: null, invitation_expires_at: null };
  await refuseTooMany(db, app);
  const row = {
    id,
    app_id: app.id,
    email: user?.email ?? input.who,
    role: input.role,
    created_at: clock.now(),
    ...(user === undefined ? invitation : { user_id: user.id, ...membership }),
  };
  const added = await db
    .transaction()
    .execute(async (transaction) => {
      await transaction.insertInto("collaborators").values(row).execute();
      const collaborator = await readCollaborator(transaction, app.id, id);
      await recordChange(transaction, "new_collaborator", { collaborator, principal, at: clock.now() });
      return collaborator;
    })
    .catch((error: unknown) => {
      if (violatedConstraint(error, UNIQUE_VIOLATION) === undefined) throw error;
      throw refusedAddress(`"${input.who}" is a collaborator, or was invited, already`, "is there already", error);
    });
  return { ...added, invitationLink: user === undefined ? `${publicUrl}/invitations/${token}` : null };
}

async function changeRole(
  { database: { db }, clock }: CollaboratorContext,
  principal: Principal,
  { app, collaboratorId, role }: { app: string; collaboratorId: string; role: Collaborator["role"] },
): Promise<Collaborator> {
  const { id: appId } = await findApp(db, principal, app, "own");
  return await db.transaction().execute(async (transaction) => {
    const { numUpdatedRows } = await transaction
      .updateTable("collaborators")
      .set({ role })
      .where(sql`id`, "=", collaboratorId)
      .where("app_id", "=", appId)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw collaboratorNotFound(collaboratorId);
    const changed = await readCollaborator(transaction, appId, collaboratorId);
    await recordChange(transaction, "change_collaborator_role", { collaborator: changed, principal, at: clock.now() });
    return changed;
  });
}

async function removeCollaborator(
  { database: { db }, clock }: CollaboratorContext,
  principal: Principal,
  { app, collaboratorId }: { app: string; collaboratorId: string },
): Promise<void> {
  const row = await findApp(db, principal, app, "read");
  const leaves = await db
    .selectFrom("collaborators")
    .select("id")
    .where(sql`id`, "=", collaboratorId)
    .where("app_id", "=", row.id)
    .where("user_id", "=", principal.userId)
    .executeTakeFirst();
  if (leaves === undefined) await findApp(db, principal, app, "own");
  await db.transaction().execute(async (transaction) => {
    const removed = await readCollaborator(transaction, row.id, collaboratorId);
    await transaction.deleteFrom("collaborators").where("id", "=", removed.id).execute();
    await recordChange(transaction, "delete_collaborator", { collaborator: removed, principal, at: clock.now() });
  });
}

async function acceptInvitation(
  { database: { db }, clock }: CollaboratorContext,
  principal: Principal,
  token: string,
): Promise<App> {
  const appId = await db.transaction().execute(async (transaction) => {
    const invitation = await transaction
      .selectFrom("collaborators")
      .innerJoin("apps", "apps.id", "collaborators.app_id")
      .select(["collaborators.id", "collaborators.app_id", "apps.owner_id"])
      .where("invitation_hash", "=", hashToken(token))
      .where("invitation_expires_at", ">", clock.now())
      .where("apps.removed_at", "is", null)
      .forUpdate("collaborators")
      .executeTakeFirst();
    if (invitation === undefined) {
      throw new TidemarkError("not_found", "This invitation was used, withdrawn or has expired", {
        hint: "Ask whoever sent it for another: tidemark collaborators-add.",
      });
    }
    const already = await transaction
      .selectFrom("collaborators")
      .select("id")
      .where("app_id", "=", invitation.app_id)
      .where("user_id", "=", principal.userId)
      .executeTakeFirst();
    if (already !== undefined || invitation.owner_id === principal.userId) {
      throw new TidemarkError("conflict", "You have access to this app already");
    }
    await transaction
      .updateTable("collaborators")
      .set({
        user_id: principal.userId,
        accepted_at: clock.now(),
        invitation_hash: null,
        invitation_expires_at: null,
      })
      .where("id", "=", invitation.id)
      .execute();
    const accepted = await readCollaborator(transaction, invitation.app_id, invitation.id);
    await recordChange(transaction, "accept_collaborator", { collaborator: accepted, principal, at: clock.now() });
    return invitation.app_id;
  });
  return appOf(await findApp(db, principal, appId, "read"));
}

async function refuseTooMany(db: Kysely<ControlSchema>, app: AppRow): Promise<void> {
  const { count } = await db
    .selectFrom("collaborators")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where("app_id", "=", app.id)
    .executeTakeFirstOrThrow();
  if (count < COLLABORATORS_PER_APP_MAX) return;
  throw new TidemarkError("conflict", `The app "${app.name}" has ${count} collaborators, as many as one may have`, {
    hint: "Remove one first: tidemark collaborators-remove.",
  });
}

async function readCollaborator(db: Kysely<ControlSchema>, appId: ObjectId, id: string): Promise<Collaborator> {
  const [found] = await readCollaborators(db, { appId, id });
  if (found === undefined) throw collaboratorNotFound(id);
  return found;
}

async function readCollaborators(
  db: Kysely<ControlSchema>,
  wanted: { appId?: ObjectId; ownerId?: ObjectId; id?: string },
): Promise<Collaborator[]> {
  let query = db
    .selectFrom("collaborators")
    .innerJoin("apps", "apps.id", "collaborators.app_id")
    .leftJoin("users", "users.id", "collaborators.user_id")
    .selectAll("collaborators")
    .select(["apps.name as app_name", "users.username", "users.email as user_email"])
    .where("apps.removed_at", "is", null)
    .orderBy("collaborators.id");
  if (wanted.appId !== undefined) query = query.where("collaborators.app_id", "=", wanted.appId);
  if (wanted.ownerId !== undefined) query = query.where("apps.owner_id", "=", wanted.ownerId);
  if (wanted.id !== undefined) query = query.where(sql`collaborators.id`, "=", wanted.id);
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    appId: row.app_id,
    appName: row.app_name,
    role: row.role,
    status: row.user_id === null ? "pending" : "accepted",
    email: row.user_email ?? row.email,
    user: row.user_id === null || row.username === null ? null : { id: row.user_id, username: row.username },
    createdAt: row.created_at,
  }));
}

type CollaboratorChange =
  | "new_collaborator"
  | "accept_collaborator"
  | "change_collaborator_role"
  | "delete_collaborator";

async function recordChange(
  transaction: Transaction<ControlSchema>,
  type: CollaboratorChange,
  { collaborator, principal, at }: { collaborator: Collaborator; principal: Principal; at: Date },
): Promise<void> {
  const { id, role, email, user } = collaborator;
  const data = { collaborator: { id, role, email, username: user?.username ?? "", is_limited: role === "limited" } };
  const place = { appId: collaborator.appId, appName: collaborator.appName };
  const subject = user === null ? {} : { subjectUserId: user.id };
  await recordEvent(transaction, { type, data, actor: principal, at, place, ...subject });
}

function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function refusedAddress(message: string, field: string, cause?: unknown): TidemarkError {
  return new TidemarkError("invalid_fields", message, { fields: { email: [field] }, cause });
}

function collaboratorNotFound(id: string): TidemarkError {
  return new TidemarkError("not_found", `There is no collaborator "${id}"`, {
    hint: "tidemark collaborators lists those of an app.",
  });
}
