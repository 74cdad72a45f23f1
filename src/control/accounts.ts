import { type Selectable, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { ControlContext } from "./context.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { recordEvent } from "./events.ts";
import { clearFailures, noteFailure, ownPasswordLimit, refuseTooManyFailures } from "./login-limits.ts";
import type { Principal, User } from "./model.ts";
import { hashPassword, passwordMatches } from "./passwords.ts";
import type { UserTable } from "./schema.ts";
import { readAccountChange } from "./user-input.ts";
import type { AccountChange, ListedUser, UsersService } from "./users-service.ts";
import { userOf } from "./users.ts";

type AccountContext = Pick<ControlContext, "database" | "clock">;

/** `foreign_key_violation` in PostgreSQL's appendix A. */
const FOREIGN_KEY_VIOLATION = "23503";

export function createUsersService(context: AccountContext): UsersService {
  return {
    list: (principal) => listUsers(context, principal),
    changeAccount: (principal, change) => changeAccount(context, principal, change),
    reset: (principal, userId, { password }) => resetUser(context, principal, { userId, password }),
    remove: (principal, userId) => removeUser(context, principal, userId),
  };
}

async function listUsers({ database: { db } }: AccountContext, principal: Principal): Promise<ListedUser[]> {
  if (!principal.isPlatformOwner) {
    throw new TidemarkError("forbidden", "Only the owner of the platform may list its users");
  }
  const rows = await db
    .selectFrom("users")
    .leftJoin("second_factors", "second_factors.user_id", "users.id")
    .selectAll("users")
    .select("second_factors.enabled_at")
    .orderBy("username")
    .execute();
  return rows.map(listedUserOf);
}

function listedUserOf(row: Selectable<UserTable> & { readonly enabled_at: Date | null }): ListedUser {
  return { ...userOf(row), hasSecondFactor: row.enabled_at !== null };
}

async function changeAccount(context: AccountContext, principal: Principal, change: AccountChange): Promise<User> {
  const { db } = context.database;
  const { email, fullname, password } = readAccountChange(change);
  if (email !== undefined || password !== undefined) await requireCurrentPassword(context, principal, change);
  const passwordHash = password === undefined ? undefined : await hashPassword(password);
  const changes = {
    ...(email === undefined ? {} : { email }),
    ...(fullname === undefined ? {} : { fullname }),
    ...(passwordHash === undefined ? {} : { password_hash: passwordHash, login_epoch: sql<number>`login_epoch + 1` }),
  };
  return await db
    .transaction()
    .execute(async (transaction) => {
      const row = await transaction
        .updateTable("users")
        // A change of nothing is a change too: the row comes back.
        .set({ ...changes, id: principal.userId })
        .where("id", "=", principal.userId)
        .returningAll()
        .executeTakeFirstOrThrow();
      if (password !== undefined) {
        const event = { type: "password_reset_success", data: {}, actor: principal } as const;
        await recordEvent(transaction, { ...event, at: context.clock.now() });
      }
      return userOf(row);
    })
    .catch((error: unknown) => {
      if (violatedConstraint(error, UNIQUE_VIOLATION) === undefined) throw error;
      throw new TidemarkError("invalid_fields", "There is a user with this e-mail address already", {
        fields: { email: ["is taken"] },
        cause: error,
      });
    });
}

async function requireCurrentPassword(
  { database, clock }: AccountContext,
  { userId }: Principal,
  { currentPassword }: AccountChange,
): Promise<void> {
  const limit = ownPasswordLimit(userId);
  await refuseTooManyFailures(database, clock, [limit]);
  const { password_hash: hash } = await database.db
    .selectFrom("users")
    .select("password_hash")
    .where("id", "=", userId)
    .executeTakeFirstOrThrow();
  if (currentPassword !== undefined && (await passwordMatches(currentPassword, hash))) {
    return await clearFailures(database, limit);
  }
  if (currentPassword !== undefined) await noteFailure(database, clock, [limit]);
  const problem = currentPassword === undefined ? "is required" : "is wrong";
  throw new TidemarkError("invalid_fields", `Your current password ${problem}`, {
    fields: { current_password: [problem] },
  });
}

async function resetUser(
  { database: { db }, clock }: AccountContext,
  principal: Principal,
  { userId, password }: { userId: string; password: string },
): Promise<User> {
  const { id } = await findOther({ db }, principal, userId);
  readAccountChange({ password });
  const passwordHash = await hashPassword(password);
  return await db.transaction().execute(async (transaction) => {
    const row = await transaction
      .updateTable("users")
      .set({ password_hash: passwordHash, login_epoch: sql`login_epoch + 1` })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await transaction.deleteFrom("second_factors").where("user_id", "=", id).execute();
    const event = { type: "password_reset_success", data: {}, actor: principal, subjectUserId: id } as const;
    await recordEvent(transaction, { ...event, at: clock.now() });
    return userOf(row);
  });
}

/** What the user left behind goes to the platform's owner: backups of apps that were removed. Who did what stays on record by name. */
async function removeUser({ database: { db } }: AccountContext, principal: Principal, userId: string): Promise<void> {
  const { id, username } = await findOther({ db }, principal, userId);
  await db
    .transaction()
    .execute(async (transaction) => {
      const app = await transaction
        .selectFrom("apps")
        .select("name")
        .where("owner_id", "=", id)
        .where("removed_at", "is", null)
        .executeTakeFirst();
      if (app !== undefined) {
        throw new TidemarkError("conflict", `The user "${username}" owns the app "${app.name}"`, {
          hint: "Its owner removes it (tidemark destroy), or gives it away, first.",
        });
      }
      await transaction.updateTable("apps").set({ owner_id: principal.userId }).where("owner_id", "=", id).execute();
      await transaction.updateTable("operations").set({ requested_by: null }).where("requested_by", "=", id).execute();
      await transaction.deleteFrom("users").where("id", "=", id).execute();
    })
    .catch((error: unknown) => {
      if (violatedConstraint(error, FOREIGN_KEY_VIOLATION) === undefined) throw error;
      throw new TidemarkError("conflict", `Something of the user "${username}" is under way; ask again later`, {
        cause: error,
      });
    });
}

/** For the platform's owner, another user. */
async function findOther(
  { db }: Pick<ControlContext["database"], "db">,
  principal: Principal,
  userId: string,
): Promise<Selectable<UserTable>> {
  const row = principal.isPlatformOwner
    ? await db
        .selectFrom("users")
        .selectAll()
        .where(sql`id`, "=", userId)
        .executeTakeFirst()
    : undefined;
  if (row === undefined) {
    throw new TidemarkError("not_found", `There is no user "${userId}"`, { hint: "tidemark users lists them." });
  }
  if (row.is_platform_owner) {
    throw new TidemarkError("conflict", "This can't be done to the platform's owner", {
      hint: "tidemark owner reset-password gives the owner a new password, on the machine itself.",
    });
  }
  return row;
}
