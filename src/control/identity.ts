import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { createApiToken, listApiTokens, removeApiToken, useApiToken } from "./api-tokens.ts";
import type { ControlDatabase } from "./database.ts";
import { type JwtKey, signJwt, verifyJwt } from "./jwt.ts";
import { clearLoginFailures, loginKeys, noteLoginFailure, refuseTooManyFailures } from "./login-limits.ts";
import type { Principal } from "./model.ts";
import { passwordMatches } from "./passwords.ts";
import type { DatabaseCaller, IdentityService } from "./services.ts";
import { findUser, insertUser, loadPrincipal, userOf } from "./users.ts";

export interface IdentityContext {
  readonly database: ControlDatabase;
  readonly clock: Clock;
  readonly jwtKey: JwtKey;
}

/** Users, passwords, API tokens and JWTs. A JWT ends with the API token that it was made from. */
export function createIdentityService(context: IdentityContext): IdentityService {
  const { database, clock, jwtKey } = context;
  return {
    authenticatePassword: (input) => authenticatePassword(context, input),
    async authenticateApiToken(secret) {
      const used = await useApiToken(database, clock, secret);
      if (used === undefined) throw new TidemarkError("unauthenticated", "Unknown API token");
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
      return await insertUser(database, clock, { ...input, isPlatformOwner: false });
    },
    listTokens: (principal) => listApiTokens(database, principal.userId),
    createToken: (principal, { name }) => createApiToken(database, clock, { userId: principal.userId, name }),
    removeToken: (principal, tokenId) => removeApiToken(database, { userId: principal.userId, tokenId }),
  };
}

/** Whom a token of the database API stands for: an addon token opens one addon, a user's JWT all of that user. */
export async function authenticateDatabaseCaller(context: IdentityContext, bearer: string): Promise<DatabaseCaller> {
  const claims = await verifyJwt(context.jwtKey, bearer, ["api", "addon"]);
  return { principal: await loadPrincipal(context.database, claims), addonId: claims.addonId };
}

async function authenticatePassword(
  { database, clock }: IdentityContext,
  input: { identifier: string; password: string; address: string },
): Promise<Principal> {
  const keys = loginKeys(input);
  await refuseTooManyFailures(database, clock, keys);
  const user = await findUser(database, input.identifier);
  if (!(await passwordMatches(input.password, user?.password_hash)) || user === undefined) {
    await noteLoginFailure(database, clock, keys);
    throw new TidemarkError("unauthenticated", "Wrong user name or password");
  }
  await clearLoginFailures(database, keys);
  return await loadPrincipal(database, { userId: user.id, apiTokenId: null });
}
