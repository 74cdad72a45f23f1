import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { createApiToken, listApiTokens, removeApiToken, useApiToken } from "./api-tokens.ts";
import type { Secrets } from "./context.ts";
import type { ControlDatabase } from "./database.ts";
import type { ObjectId } from "../core/ids.ts";
import { recordEvent } from "./events.ts";
import { type JwtKey, signJwt, verifyJwt } from "./jwt.ts";
import { apiTokenLimit, clearFailures, noteFailure, passwordLimits, refuseTooManyFailures } from "./login-limits.ts";
import type { Principal, User } from "./model.ts";
import { passwordMatches } from "./passwords.ts";
import { hasSecondFactor, takeSecondFactor } from "./second-factors.ts";
import type { DatabaseCaller, IdentityService } from "./services.ts";
import { findUser, insertUser, loadPrincipal, userOf } from "./users.ts";

export interface IdentityContext {
  readonly database: ControlDatabase;
  readonly clock: Clock;
  readonly secrets: Secrets;
  readonly jwtKey: JwtKey;
}

/** Users, passwords, API tokens and JWTs. A JWT ends with the API token that it was made from, and when its user's password changes. */
export function createIdentityService(context: IdentityContext): IdentityService {
  const { database, clock, jwtKey } = context;
  return {
    authenticatePassword: (input) => authenticatePassword(context, input),
    async authenticateApiToken({ secret, address }) {
      const used = await useApiToken(database, clock, secret);
      if (used === undefined) {
        // After the look-up: a right token works however many wrong ones came from the same address.
        await refuseTooManyFailures(database, clock, [apiTokenLimit(address)]);
        await noteFailure(database, clock, [apiTokenLimit(address)]);
        throw new TidemarkError("unauthenticated", "Unknown API token");
      }
      return await loadPrincipal(database, { userId: used.userId, apiTokenId: used.tokenId });
    },
    async authenticateJwt(jwt) {
      return await loadPrincipal(database, await verifyJwt(jwtKey, jwt, ["api"]));
    },
    issueJwt: (principal) => signJwt(jwtKey, { ...principal, addonId: null }),
    async self(principal) {
      const row = await database.db
        .selectFrom("users")
        .selectAll()
        .where("id", "=", principal.userId)
        .executeTakeFirst();
      if (row === undefined) throw new TidemarkError("unauthenticated", "This user is gone");
      return userOf(row);
    },
    async createUser(principal, input) {
      if (!principal.isPlatformOwner) {
        throw new TidemarkError("forbidden", "Only the owner of the platform may create users");
      }
      return await createUser(context, principal, input);
    },
    listTokens: (principal) => listApiTokens(database, principal.userId),
    createToken: (principal, { name }) =>
      database.db.transaction().execute(async (db) => {
        const within = { ...database, db };
        const token = await createApiToken(within, clock, { userId: principal.userId, name });
        const data = { token_id: token.id, token_name: token.name };
        await recordEvent(db, { type: "new_token", data, actor: principal, at: clock.now() });
        return token;
      }),
    removeToken: (principal, tokenId) =>
      database.db.transaction().execute(async (db) => {
        const within = { ...database, db };
        const name = await removeApiToken(within, { userId: principal.userId, tokenId });
        const data = { token_id: tokenId, token_name: name };
        await recordEvent(db, { type: "delete_token", data, actor: principal, at: clock.now() });
      }),
  };
}

async function createUser(
  { database, clock }: IdentityContext,
  principal: Principal,
  input: { username: string; email: string; fullname: string; password: string },
): Promise<User> {
  return await database.db.transaction().execute(async (db) => {
    const user = await insertUser({ ...database, db }, clock, { ...input, isPlatformOwner: false });
    const data = { username: user.username, email: user.email };
    const event = { type: "new_user", data, actor: principal, subjectUserId: user.id } as const;
    await recordEvent(db, { ...event, at: clock.now() });
    return user;
  });
}

/** Whom a token of the database API stands for: an addon token opens one addon, a user's JWT all of that user. */
export async function authenticateDatabaseCaller(
  context: Pick<IdentityContext, "database" | "jwtKey">,
  bearer: string,
): Promise<DatabaseCaller> {
  const claims = await verifyJwt(context.jwtKey, bearer, ["api", "addon"]);
  return { principal: await loadPrincipal(context.database, claims), addonId: claims.addonId };
}

async function authenticatePassword(
  context: IdentityContext,
  input: { identifier: string; password: string; oneTimePassword?: string | undefined; address: string },
): Promise<Principal> {
  const { database, clock } = context;
  const { address, oneTimePassword } = input;
  const limits = passwordLimits(input);
  await refuseTooManyFailures(database, clock, limits);
  const user = await findUser(database, input.identifier);
  if (!(await passwordMatches(input.password, user?.password_hash)) || user === undefined) {
    const { isPause } = await noteFailure(database, clock, limits);
    await recordLoginFailure(context, { user, address, method: "password", isPause });
    throw new TidemarkError("unauthenticated", "Wrong user name or password");
  }
  if (await hasSecondFactor(context, user.id)) {
    // Clients know by exactly these words that they shall ask for it, so there is no hint to be joined to them.
    if (oneTimePassword === undefined) throw new TidemarkError("second_factor_required", "OTP Required");
    if (!(await takeSecondFactor(context, user.id, oneTimePassword))) {
      await recordLoginFailure(context, { user, address, method: "otp", isPause: false });
      throw new TidemarkError("unauthenticated", "Wrong one-time password");
    }
  }
  await clearFailures(database, limits[0]);
  const principal = await loadPrincipal(database, { userId: user.id, apiTokenId: null });
  const actor = { ...principal, address };
  const data = { remote_ip: address, method: "password" } as const;
  await recordEvent(database.db, { type: "login_success", data, actor, at: clock.now() });
  return principal;
}

/** Nobody has proved to be the user, so nobody is the actor; the name that was typed may be a password, and is kept nowhere. */
async function recordLoginFailure(
  { database, clock }: IdentityContext,
  failure: {
    user: { readonly id: ObjectId } | undefined;
    address: string;
    method: "password" | "otp";
    isPause: boolean;
  },
): Promise<void> {
  const { user, address, method } = failure;
  const subject = user === undefined ? {} : { subjectUserId: user.id };
  const common = { actor: "platform", at: clock.now(), ...subject } as const;
  await recordEvent(database.db, { type: "login_failure", data: { remote_ip: address, method }, ...common });
  if (failure.isPause) await recordEvent(database.db, { type: "login_lock", data: { remote_ip: address }, ...common });
}
