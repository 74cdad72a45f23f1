import { sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { type AppRow, findApp, listAddons, listApps } from "./access.ts";
import { beginRemoval } from "./addons.ts";
import { readVariables } from "./app-variables.ts";
import type { ControlContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { recordEvent } from "./events.ts";
import type { App, Principal } from "./model.ts";
import { insertDefaultNotifier } from "./notifier-rows.ts";
import type { AppService } from "./services.ts";
import { readAppName } from "./user-input.ts";
import { findUser } from "./users.ts";

export function createAppService(context: ControlContext): AppService {
  const { db } = context.database;
  return {
    async list(principal) {
      return (await listApps(db, principal)).map(appOf);
    },
    create: (principal, { name }) => createApp(context, principal, name),
    async show(principal, app) {
      return appOf(await findApp(db, principal, app, "read"));
    },
    transfer: (principal, app, input) => transferApp(context, principal, { app, ...input }),
    remove: (principal, app, { currentName }) => removeApp(context, principal, { app, currentName }),
    variables: (principal, app, options) => readVariables(context, principal, { app, ...options }),
  };
}

async function createApp({ database, clock }: ControlContext, principal: Principal, name: string): Promise<App> {
  try {
    const row = await database.db.transaction().execute(async (transaction) => {
      const at = clock.now();
      const app = await transaction
        .insertInto("apps")
        .values({
          id: newObjectId(at),
          name: readAppName(name),
          owner_id: principal.userId,
          created_at: at,
          removed_at: null,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await insertDefaultNotifier(transaction, { appId: app.id, ownerId: principal.userId, at });
      const place = { appId: app.id, appName: app.name };
      await recordEvent(transaction, { type: "new_app", data: {}, actor: principal, at, place });
      return app;
    });
    return appOf({ ...row, role: "owner", owner_username: principal.username, owner_email: principal.email });
  } catch (error) {
    if (violatedConstraint(error, UNIQUE_VIOLATION) === undefined) throw error;
    throw new TidemarkError("invalid_fields", `The name "${name}" is taken`, {
      fields: { name: ["is taken"] },
      cause: error,
    });
  }
}

async function removeApp(
  context: ControlContext,
  principal: Principal,
  { app, currentName }: { app: string; currentName: string },
): Promise<void> {
  const row = await findApp(context.database.db, principal, app, "own");
  requireName(row, currentName);
  await context.database.db.transaction().execute(async (transaction) => {
    for (const addon of await listAddons(transaction, row))
      await beginRemoval(context, transaction, { addon, principal });
    const at = context.clock.now();
    const { numUpdatedRows } = await transaction
      .updateTable("apps")
      .set({ removed_at: at })
      .where("id", "=", row.id)
      .where("removed_at", "is", null)
      .executeTakeFirst();
    // Somebody else was faster, and the record has it.
    if (numUpdatedRows === 0n) return;
    const place = { appId: row.id, appName: row.name };
    await recordEvent(transaction, { type: "delete_app", data: {}, actor: principal, at, place });
  });
}

/** The one who gives it away stays as a collaborator. */
async function transferApp(
  { database, clock }: ControlContext,
  principal: Principal,
  { app, currentName, owner }: { app: string; currentName: string; owner: string },
): Promise<App> {
  const row = await findApp(database.db, principal, app, "own");
  requireName(row, currentName);
  const successor = await findUser(database, owner);
  if (successor === undefined) {
    throw new TidemarkError("invalid_fields", `There is no user "${owner}"`, {
      fields: { owner: ["is no user of this platform"] },
    });
  }
  if (successor.id !== row.owner_id) {
    await database.db.transaction().execute(async (transaction) => {
      await transaction
        .deleteFrom("collaborators")
        .where("app_id", "=", row.id)
        .where((match) =>
          match.or([
            match("user_id", "=", successor.id),
            match(sql`lower(email)`, "in", [successor.email.toLowerCase(), principal.email.toLowerCase()]),
          ]),
        )
        .execute();
      await transaction
        .insertInto("collaborators")
        .values({
          id: newObjectId(clock.now()),
          app_id: row.id,
          user_id: row.owner_id,
          email: row.owner_email,
          role: "collaborator",
          invitation_hash: null,
          invitation_expires_at: null,
          created_at: clock.now(),
          accepted_at: clock.now(),
        })
        .execute();
      await transaction.updateTable("apps").set({ owner_id: successor.id }).where("id", "=", row.id).execute();
    });
  }
  return appOf(await findApp(database.db, principal, row.id, "read"));
}

function requireName(app: AppRow, currentName: string): void {
  if (app.name === currentName) return;
  throw new TidemarkError("bad_request", `current_name is "${currentName}", which is not the name of this app`, {
    hint: `To go on, send its name: current_name=${app.name}.`,
  });
}

export function appOf(row: AppRow): App {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    owner: { id: row.owner_id, username: row.owner_username, email: row.owner_email },
    status: "running",
    createdAt: row.created_at,
  };
}
