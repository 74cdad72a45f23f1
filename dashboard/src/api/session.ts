import type { QueryClient } from "@tanstack/react-query";
import type { Session } from "../../generated/api.ts";
import { ApiError, readError } from "./api-error.ts";
import { call } from "./call.ts";
import { query } from "./queries.ts";

/** How the session is fetched and kept. */
export const SESSION = query("showSession", {});

/**
 * Logs in: the platform sets a cookie that no script can read. `code` is a one-time password, empty where none was asked for. Errors: `ApiError`,
 * `second_factor_required` when one is.
 */
export async function beginSession(input: { identifier: string; password: string; code: string }): Promise<Session> {
  const response = await fetch("/v1/session", {
    method: "POST",
    headers: {
      Authorization: `Basic ${base64(`${input.identifier}:${input.password}`)}`,
      ...(input.code === "" ? {} : { "X-Authorization-OTP": input.code }),
    },
  });
  if (!response.ok) throw await readError(response);
  // As the API's document says of this address.
  const { session } = (await response.json()) as { session: Session };
  return session;
}

/** Logs out. What was shown is still kept: clear `client` once nothing shows it. */
export async function endSession(client: QueryClient): Promise<void> {
  const csrfToken = client.getQueryData(SESSION.queryKey)?.session.csrf_token;
  try {
    await call("closeSession", {}, csrfToken === undefined ? {} : { csrfToken });
  } catch (error) {
    // It had ended by itself.
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  }
}

/** Of the UTF-8 of a text. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
