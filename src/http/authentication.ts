import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { DatabaseCaller } from "../control/services.ts";
import type { Principal } from "../control/model.ts";
import { TidemarkError } from "../core/errors.ts";
import { clientAddress } from "./client-address.ts";
import type { FaceEnv } from "./context.ts";
import { parseAuthorization } from "./credentials.ts";

interface UserEnv extends FaceEnv {
  readonly Variables: FaceEnv["Variables"] & { principal: Principal };
}

interface DatabaseEnv extends FaceEnv {
  readonly Variables: FaceEnv["Variables"] & { caller: DatabaseCaller };
}

type RequestContext = Pick<Context<FaceEnv>, "env" | "req" | "var">;

/** Names of the security schemes; `openapi.ts` describes them. */
export type SecurityScheme = "userToken" | "apiToken" | "password" | "databaseToken";

/** Spread into a route: only a user's JWT opens it, and its handler finds `c.var.principal`. */
export const byUser = {
  security: requirement("userToken"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const credentials = parseAuthorization(c.req.header("Authorization"));
    if (credentials?.kind !== "bearer") throw unauthenticated("a user's token (Authorization: Bearer)");
    c.set("principal", fromHere(c, await c.var.face.services.identity.authenticateJwt(credentials.token)));
    await next();
  }),
};

/** Spread into a route: opened by an API token, sent as the password of an empty user name. */
export const byApiToken = {
  security: requirement("apiToken"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const credentials = parseAuthorization(c.req.header("Authorization"));
    if (credentials?.kind !== "apiToken")
      throw unauthenticated('an API token (Authorization: Basic, base64 of ":" and the token)');
    c.set("principal", fromHere(c, await c.var.face.services.identity.authenticateApiToken(credentials.secret)));
    await next();
  }),
};

/** Spread into a route: opened by name (or e-mail address) and password, or by a user's JWT. */
export const byPasswordOrUser = {
  security: requirement("password", "userToken"),
  middleware: createMiddleware<UserEnv>(async (c, next) => {
    const { identity } = c.var.face.services;
    const credentials = parseAuthorization(c.req.header("Authorization"));
    if (credentials?.kind === "bearer")
      c.set("principal", fromHere(c, await identity.authenticateJwt(credentials.token)));
    else if (credentials?.kind === "password") {
      const { identifier, password } = credentials;
      const address = addressOf(c);
      c.set("principal", fromHere(c, await identity.authenticatePassword({ identifier, password, address })));
    } else throw unauthenticated("a user name and its password (Authorization: Basic), or a user's token (Bearer)");
    await next();
  }),
};

/** Spread into a route of the database API: opened by an addon's token or a user's JWT; its handler finds `c.var.caller`. */
export const byDatabaseToken = {
  security: requirement("databaseToken", "userToken"),
  middleware: createMiddleware<DatabaseEnv>(async (c, next) => {
    const credentials = parseAuthorization(c.req.header("Authorization"));
    if (credentials?.kind !== "bearer") throw unauthenticated("an addon's token (Authorization: Bearer)");
    const { principal, addonId } = await c.var.face.services.databases.authenticate(credentials.token);
    c.set("caller", { principal: fromHere(c, principal), addonId });
    await next();
  }),
};

/** The principal with the address that its request came from, for the record of who did what. */
function fromHere(c: RequestContext, principal: Principal): Principal {
  return { ...principal, address: addressOf(c) };
}

function addressOf(c: RequestContext): string {
  return clientAddress({
    remoteAddress: c.env.incoming.socket.remoteAddress,
    forwardedFor: c.req.header("X-Forwarded-For"),
    behindProxy: c.var.face.behindProxy,
  });
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
