import { readError } from "./api-error.ts";

const KEY = "tidemark-session";

/** What shows the platform who asks. */
export function sessionHeaders(): Record<string, string> {
  const token = sessionStorage.getItem(KEY);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

export async function beginSession(input: { identifier: string; password: string; code: string }): Promise<void> {
  const token = await fetchJson("/v1/tokens", `Basic ${btoa(`${input.identifier}:${input.password}`)}`, {
    token: { name: "dashboard" },
  });
  const secret = (token as { token: { token: string } }).token.token;
  const jwt = (await fetchJson("/v1/tokens/exchange", `Basic ${btoa(`:${secret}`)}`, {})) as { token: string };
  sessionStorage.setItem(KEY, jwt.token);
}

export async function endSession(): Promise<void> {
  sessionStorage.removeItem(KEY);
}

async function fetchJson(address: string, authorization: string, body: object): Promise<unknown> {
  const response = await fetch(address, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await readError(response);
  return await response.json();
}
