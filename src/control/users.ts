import { type Selectable, sql } from "kysely";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { type ControlDatabase, UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import type { Principal, User } from "./model.ts";
import { hashPassword } from "./passwords.ts";
import type { UserTable } from "./schema.ts";
import { readNewUser } from "./user-input.ts";

/** Adds a user after checking every field; `invalid_fields` names those that are malformed or taken. */
export async function insertUser(
  { db }: ControlDatabase,
  clock: Clock,
  input: { username: string; email: string; fullname: string; password: string; isPlatformOwner: boolean },
): Promise<User> {
  const user = readNewUser(input);
  const passwordHash = await hashPassword(user.password);
  try {
    const row = await db
      .insertInto("users")
      .values({
        id: newObjectId(clock.now()),
        username: user.username,
        email: user.email,
        fullname: user.fullname,
        password_hash: passwordHash,
        is_platform_owner: input.isPlatformOwner,
        created_at: clock.now(),
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return userOf(row);
  } catch (error) {
    throw takenField(error) ?? error;
  }
}

/** Whoever has this user name or address, in any case of letters. */
export async function findUser(
  { db }: ControlDatabase,
  identifier: string,
): Promise<Selectable<UserTable> | undefined> {
  const wanted = identifier.toLowerCase();
  return await db
    .selectFrom("users")
    .selectAll()
    .where((row) => row.or([row(sql`lower(username)`, "=", wanted), row(sql`lower(email)`, "=", wanted)]))
    .executeTakeFirst();
}

/**
 * Makes sure that the user still exists, the API token too where the login came from one, and that the password is still the one of the login where
 * that has a `loginEpoch`. `unauthenticated` otherwise.
 */
export async function loadPrincipal(
  { db }: ControlDatabase,
  { userId, apiTokenId, loginEpoch }: { userId: string; apiTokenId: string | null; loginEpoch?: number },
): Promise<Principal> {
  const row = await db
    .selectFrom("users")
    .leftJoin("api_tokens", (join) =>
      join.onRef("api_tokens.user_id", "=", "users.id").on("api_tokens.id", "=", apiTokenId ?? ""),
    )
    .select(["users.id", "username", "email", "is_platform_owner", "login_epoch", "api_tokens.id as token_id"])
    .where(sql`users.id`, "=", userId)
    .executeTakeFirst();
  if (row === undefined) throw new TidemarkError("unauthenticated", "The user of this token is gone");
  if (apiTokenId !== null && row.token_id === null) {
    throw new TidemarkError("unauthenticated", "The API token behind this login was removed", {
      hint: "Log in again.",
    });
  }
  if (loginEpoch !== undefined && loginEpoch !== row.login_epoch) {
    throw new TidemarkError("unauthenticated", "The password was changed after this login", { hint: "Log in again." });
  }
  return {
    userId: row.id,
    username: row.username,
    email: row.email,
    isPlatformOwner: row.is_platform_owner,
    apiTokenId,
    loginEpoch: row.login_epoch,
  };
}

/**
 * Sets the platform owner's password, ends logins made before, takes the second factor away, forgets failed logins, and gives the owner's name. `not_found` when there is no owner yet.
 */
export async function resetOwnerPassword({ db }: ControlDatabase, password: string): Promise<string> {
  const row = await db
    .updateTable("users")
    .set({ password_hash: await hashPassword(password), login_epoch: sql`login_epoch + 1` })
    .where("is_platform_owner", "=", true)
    .returning(["id", "username"])
    .executeTakeFirst();
  if (row === undefined) {
    throw new TidemarkError("not_found", "The platform has no owner yet", { hint: "Start it once: npm start." });
  }
  await db.deleteFrom("login_attempts").execute();
  // Whoever may read the home has every key there is; the device may be what was lost.
  await db.deleteFrom("second_factors").where("user_id", "=", row.id).execute();
  return row.username;
}

export function userOf(row: Selectable<UserTable>): User {
  return {
    id: row.id,
    username: row.username,
    email: row.email,
    fullname: row.fullname,
    isPlatformOwner: row.is_platform_owner,
    createdAt: row.created_at,
  };
}

function takenField(thrown: unknown): TidemarkError | undefined {
  const violated = violatedConstraint(thrown, UNIQUE_VIOLATION);
  if (violated === undefined) return undefined;
  const field = violated === "users_email" ? "email" : "username";
  return new TidemarkError("invalid_fields", `There is a user with this ${field} already`, {
    fields: { [field]: ["is taken"] },
    cause: thrown,
  });
}
