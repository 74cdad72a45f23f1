import { isErrorCode, TidemarkError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import { isJsonObject } from "./decode.ts";
import type { Decoder } from "./decode.ts";
import type { Login } from "./login.ts";
import { addonTokenReply, exchangeReply } from "./replies.ts";
import { route } from "./transport.ts";
import type { Reply, Transport } from "./transport.ts";

/** A token is renewed when it has less than this left: a request under way must not outlive it. */
const TOKEN_RENEWAL_MARGIN_MS = 5 * 60_000;
/** How long a database token is used; the platform's last an hour. */
const DATABASE_TOKEN_USE_MS = 30 * 60_000;

/** Calls of the API as one user. Errors as those of `Transport`. */
export interface ApiClient {
  get<T>(path: string, decode: Decoder<T>): Promise<Reply<T>>;
  post<T>(path: string, body: unknown, decode: Decoder<T>): Promise<Reply<T>>;
  patch<T>(path: string, body: unknown, decode: Decoder<T>): Promise<Reply<T>>;
  put<T>(path: string, body: unknown, decode: Decoder<T>): Promise<Reply<T>>;
  delete<T>(path: string, decode: Decoder<T>, body?: unknown): Promise<Reply<T>>;
}

export interface PlatformClient extends ApiClient {
  /** The API of one database, with a token of its own. `addonId` starts with `ad-`. */
  database(target: { app: string; addonId: string }): ApiClient;
  /** The session's own token, for addresses that take it in another way than the API does. */
  bearer(): Promise<string>;
}

interface Session {
  readonly bearer: string;
  readonly renewAtMs: number;
}

/**
 * A client that logs in with the API token of `login` at the first call, keeps the session's token in memory only, and renews it before it
 * expires or when the platform no longer takes it.
 */
export function createClient({
  login,
  transport,
  clock,
}: {
  login: Login;
  transport: Transport;
  clock: Clock;
}): PlatformClient {
  const openSession = async (): Promise<Session> => {
    const authorization = basicAuthorization({ user: "", password: login.token });
    const reply = await transport({
      method: "POST",
      path: "/v1/tokens/exchange",
      authorization,
      body: {},
      decode: exchangeReply,
    }).catch((error: unknown) => {
      throw isErrorCode(error, "unauthenticated") ? refusedLogin(login, error) : error;
    });
    return { bearer: reply.value.token, renewAtMs: expiryMs(reply.value.token) - TOKEN_RENEWAL_MARGIN_MS };
  };
  const user = authorised({ transport, clock, openSession });
  return {
    ...user,
    bearer: async () => (await openSession()).bearer,
    database: ({ app, addonId }) =>
      authorised({
        transport,
        clock,
        openSession: async () => {
          const reply = await user.post(route`/v1/apps/${app}/addons/${addonId}/token`, {}, addonTokenReply);
          return { bearer: reply.value.addon.token, renewAtMs: clock.now().getTime() + DATABASE_TOKEN_USE_MS };
        },
      }),
  };
}

export function basicAuthorization({ user, password }: { user: string; password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

function authorised({
  transport,
  clock,
  openSession,
}: {
  transport: Transport;
  clock: Clock;
  openSession: () => Promise<Session>;
}): ApiClient {
  let session: Session | undefined;
  const call = async <T>(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    { body, decode }: { body?: unknown; decode: Decoder<T> },
  ): Promise<Reply<T>> => {
    const kept = session !== undefined && clock.now().getTime() < session.renewAtMs ? session : undefined;
    const current = kept ?? (await openSession());
    session = current;
    const request = { method, path, body, decode, authorization: `Bearer ${current.bearer}` };
    try {
      return await transport(request);
    } catch (error) {
      // A refused request changed nothing, so that even a POST may be sent again with a new token.
      if (kept === undefined || !isErrorCode(error, "unauthenticated")) throw error;
      session = await openSession();
      return transport({ ...request, authorization: `Bearer ${session.bearer}` });
    }
  };
  return {
    get: (path, decode) => call("GET", path, { decode }),
    post: (path, body, decode) => call("POST", path, { body, decode }),
    patch: (path, body, decode) => call("PATCH", path, { body, decode }),
    put: (path, body, decode) => call("PUT", path, { body, decode }),
    delete: (path, decode, body) => call("DELETE", path, { decode, ...(body === undefined ? {} : { body }) }),
  };
}

/** The claim `exp` of a JWT in milliseconds. Without a readable one the token is used once. */
function expiryMs(jwt: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString("utf8"));
    if (isJsonObject(claims) && typeof claims["exp"] === "number") return claims["exp"] * 1000;
  } catch {
    // Not a JWT: an opaque token is as good, its lifetime just isn't known.
  }
  return 0;
}

function refusedLogin(login: Login, cause: TidemarkError): TidemarkError {
  return new TidemarkError("unauthenticated", `The platform at ${login.url} refused the token of ${login.source}`, {
    hint: "Log in again with: tidemark login",
    cause,
  });
}
