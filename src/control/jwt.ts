import { randomUUID } from "node:crypto";
import { type JWTPayload, jwtVerify, SignJWT } from "jose";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";

/** Clients re-exchange when under 5 minutes are left, and are promised an hour. */
const LIFETIME_SECONDS = 3600;
const ALGORITHM = "HS256";
/** Of an API token, an addon token. */
type Audience = "api" | "addon";

export interface JwtKey {
  readonly clock: Clock;
  /** 32 random bytes. */
  readonly secret: Uint8Array;
}

export interface Claims {
  readonly userId: string;
  readonly apiTokenId: string | null;
  /** The one addon that an addon token opens; null for a user's JWT. */
  readonly addonId: string | null;
  /** See `Principal`. */
  readonly loginEpoch: number;
}

/** A JWT of one hour; with an addon id it opens that addon's database API only. */
export async function signJwt({ clock, secret }: JwtKey, claims: Claims): Promise<string> {
  const issuedAt = Math.floor(clock.now().getTime() / 1000);
  const audience: Audience = claims.addonId === null ? "api" : "addon";
  return await new SignJWT({ addon: claims.addonId, token: claims.apiTokenId, epoch: claims.loginEpoch })
    .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
    .setSubject(claims.userId)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + LIFETIME_SECONDS)
    .setJti(randomUUID())
    .sign(secret);
}

/** The claims of a JWT of ours made for one of these audiences; `unauthenticated` for anything else. */
export async function verifyJwt({ clock, secret }: JwtKey, jwt: string, audience: Audience[]): Promise<Claims> {
  const payload = await verifiedPayload(jwt, { clock, secret, audience });
  return {
    userId: payload.sub ?? "",
    apiTokenId: textClaim(payload, "token"),
    addonId: textClaim(payload, "addon"),
    // One of before there were epochs is of the first.
    loginEpoch: typeof payload["epoch"] === "number" ? payload["epoch"] : 0,
  };
}

async function verifiedPayload(
  jwt: string,
  { clock, secret, audience }: JwtKey & { audience: Audience[] },
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(jwt, secret, {
      algorithms: [ALGORITHM],
      audience,
      currentDate: clock.now(),
      requiredClaims: ["exp", "sub"],
    });
    return payload;
  } catch (error) {
    throw new TidemarkError("unauthenticated", "The token is malformed or has expired", {
      hint: "Log in again, or exchange your API token again.",
      cause: error,
    });
  }
}

function textClaim(payload: JWTPayload, name: string): string | null {
  const value = payload[name];
  return typeof value === "string" ? value : null;
}
