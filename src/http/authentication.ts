import { timingSafeEqual } from "node:crypto";
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { parse as parseCookies } from "hono/utils/cookie";
import type { Principal } from "../control/model.ts";
import type { DatabaseCaller } from "../control/services.ts";
import type { BrowserSession } from "../control/session-service.ts";
import { TidemarkError } from "../core/errors.ts";
import { clientAddress } from "./client-address.ts";
import type { FaceEnv } from "./context.ts";
import { type Credentials, parseAuthorization } from "./credentials.ts";
import { sessionCookieName } from "./session-cookie.ts";

interface UserEnv extends FaceEnv {
  readonly Variables: FaceEnv["Variables"] & { principal: Principal };
}

interface SessionEnv extends FaceEnv {
  readonly Variables: FaceEnv["Variables"] & { session: BrowserSession; sessionSecret: string };
}

interface DatabaseEnv extends FaceEnv {
  readonly Variables: FaceEnv["Variables"] & { caller: DatabaseCaller };
}

/** Names of the security schemes; `openapi.ts` describes them. */
export type SecurityScheme = "userToken" | "apiToken" | "password" | "databaseToken" | "session" | "sessionAsPassword";

/** What authentication reads of a request, whatever its route adds. */
export type Asked = Pick<Context<FaceEnv>, "req" | "env" | "var">;

/** Longer than any session's secret. */
const COOKIE_CHARACTERS_MAX = 200;
/** Longer than any recovery code. */
const ONE_TIME_PASSWORD_CHARACTERS_MAX = 100;
/** Requests that change nothing: all that another site could make a browser send without a script. */
const READING_METHODS = new Set(["GET", "HEAD"]);

/** Spread into a route: a user's JWT or a browser's session opens it, and its handler finds `c.var.principal`. */
export const byUser = {
  security: requirement("userToken", "session"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    c.set("principal", await authenticateUser(c));
    await next();
  }),
};

/** Whom the request's JWT or session stands for now; `unauthenticated` otherwise. An answer that goes on for long asks it again and again. */
export async function authenticateUser(c: Asked): Promise<Principal> {
  const credentials = readCredentials(c);
  if (credentials?.kind === "bearer")
    return from(c, await c.var.face.services.identity.authenticateJwt(credentials.token));
  const found = credentials === undefined ? await findSession(c) : undefined;
  if (found === undefined) throw unauthenticated("a user's token (Authorization: Bearer)");
  return from(c, found.session.principal);
}

/** Spread into a route: opened by an API token, sent as the password of an empty user name. */
export const byApiToken = {
  security: requirement("apiToken"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const credentials = readCredentials(c);
    if (credentials?.kind !== "apiToken")
      throw unauthenticated('an API token (Authorization: Basic, base64 of ":" and the token)');
    c.set(
      "principal",
      from(
        c,
        await c.var.face.services.identity.authenticateApiToken({ secret: credentials.secret, address: addressOf(c) }),
      ),
    );
    await next();
  }),
};

/** Spread into a route: opened by name (or e-mail address) and password. */
export const byPassword = {
  security: requirement("password"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const credentials = readCredentials(c);
    if (credentials?.kind !== "password") throw unauthenticated("a user name and its password (Authorization: Basic)");
    c.set("principal", await authenticatePassword(c, credentials));
    await next();
  }),
};

/** Spread into a route: opened by name (or e-mail address) and password, by a user's JWT, or by a browser's session. */
export const byPasswordOrUser = {
  security: requirement("password", "userToken", "session"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const credentials = readCredentials(c);
    if (credentials?.kind !== "password") return await byUser.middleware(c, next);
    c.set("principal", await authenticatePassword(c, credentials));
    return await next();
  }),
};

/** Spread into a route: only a browser's session opens it, and its handler finds `c.var.session` and `c.var.sessionSecret`. */
export const bySession = {
  security: requirement("session"),
  middleware: createMiddleware<SessionEnv>(async (c, next) => {
    const found = await findSession(c);
    if (found === undefined) throw unauthenticated("a browser's session (a cookie, from POST /v1/session)");
    c.set("session", found.session);
    c.set("sessionSecret", found.secret);
    await next();
  }),
};

/** Spread into a route that follows an attach address: opened by a user's JWT, sent as the password of an empty user name or as a bearer token. */
export const bySessionAsPassword = {
  security: requirement("sessionAsPassword", "userToken"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const credentials = readCredentials(c);
    if (credentials?.kind !== "apiToken") return await byUser.middleware(c, next);
    c.set("principal", from(c, await c.var.face.services.identity.authenticateJwt(credentials.secret)));
    return await next();
  }),
};

/** Spread into a route of the database API: opened by an addon's token, a user's JWT or a browser's session; its handler finds `c.var.caller`. */
export const byDatabaseToken = {
  security: requirement("databaseToken", "userToken", "session"),
  middleware: createMiddleware<DatabaseEnv>(async (c, next) => {
    const credentials = readCredentials(c);
    if (credentials?.kind === "bearer") {
      const caller = await c.var.face.services.databases.authenticate(credentials.token);
      c.set("caller", { ...caller, principal: from(c, caller.principal) });
    } else {
      const found = credentials === undefined ? await findSession(c) : undefined;
      if (found === undefined) throw unauthenticated("an addon's token (Authorization: Bearer)");
      c.set("caller", { principal: from(c, found.session.principal), addonId: null });
    }
    await next();
  }),
};

/** What the Authorization header offers; undefined without one. One that can't be read is refused: it is never passed over in favour of a cookie. */
function readCredentials(c: Asked): Credentials | undefined {
  const header = c.req.header("Authorization");
  if (header === undefined) return undefined;
  const credentials = parseAuthorization(header);
  if (credentials === undefined) throw unauthenticated("an Authorization header that can be read");
  return credentials;
}

async function authenticatePassword(
  c: Asked,
  { identifier, password }: Extract<Credentials, { kind: "password" }>,
): Promise<Principal> {
  const address = addressOf(c);
  const oneTimePassword = readOneTimePassword(c);
  const input = { identifier, password, oneTimePassword, address };
  return from(c, await c.var.face.services.identity.authenticatePassword(input));
}

function readOneTimePassword(c: Asked): string | undefined {
  const given = c.req.header("X-Authorization-OTP")?.trim() ?? "";
  if (given.length > ONE_TIME_PASSWORD_CHARACTERS_MAX) throw unauthenticated("a one-time password of a usual length");
  return given === "" ? undefined : given;
}

/** With the network address that the request came from, for whoever reads later what was done. */
function from(c: Asked, principal: Principal): Principal {
  return { ...principal, address: addressOf(c) };
}

function addressOf(c: Asked): string {
  return clientAddress({
    remoteAddress: c.env.incoming.socket.remoteAddress,
    forwardedFor: c.req.header("X-Forwarded-For"),
    behindProxy: c.var.face.behindProxy,
  });
}

/**
 * The session of the request's cookie; undefined without one. A browser sends its cookies with whatever makes it ask, so a request that changes
 * something must also show what only a page of ours can know.
 */
async function findSession(c: Asked): Promise<{ session: BrowserSession; secret: string } | undefined> {
  const { services, region } = c.var.face;
  const name = sessionCookieName(region.publicUrl);
  const secret = parseCookies(c.req.header("Cookie") ?? "", name)[name];
  if (secret === undefined || secret === "" || secret.length > COOKIE_CHARACTERS_MAX) return undefined;
  const session = await services.sessions.authenticate(secret);
  if (!READING_METHODS.has(c.req.method) && !isSame(c.req.header("X-CSRF-Token") ?? "", session.csrfToken))
    throw new TidemarkError("forbidden", "A change by a browser's session needs its X-CSRF-Token", {
      hint: "GET /v1/session tells it",
    });
  return { session, secret };
}

function isSame(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Any one of the schemes is enough. */
function requirement(...schemes: readonly SecurityScheme[]): Record<string, string[]>[] {
  return schemes.map((scheme) => ({ [scheme]: [] }));
}

function unauthenticated(wanted: string): TidemarkError {
  return new TidemarkError("unauthenticated", `This address needs ${wanted}`, {
    hint: "Log in with `tidemark login`, or exchange an API token at /v1/tokens/exchange",
  });
}
