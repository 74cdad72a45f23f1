import { join } from "node:path";
import { TidemarkError } from "../core/errors.ts";
import { isJsonObject } from "./decode.ts";
import { readPrivateJson } from "./private-file.ts";
import { readSavedLogins } from "./saved-logins.ts";
import type { Settings } from "./settings.ts";

/** Where a platform listens when nothing else is said. */
const DEFAULT_URL = "http://127.0.0.1:8420";

export interface Login {
  /** Scheme, host and port, no slash at the end. */
  readonly url: string;
  /** An API token. */
  readonly token: string;
  /** Where the token came from, for error messages: `--token`, `TIDEMARK_TOKEN` and so on. */
  readonly source: string;
}

/** What `--url` and `--token` said. */
export interface LoginFlags {
  readonly url: string | undefined;
  readonly token: string | undefined;
}

/**
 * The login to use: of the flags, else of Tidemark's variables, else of the original client's variables, else the one saved by `login`, else the
 * `local.json` that a platform on this machine leaves for those who may read its home. When only an address is given, the token is looked for
 * among those that belong to this address: a saved or local token never goes anywhere else.
 *
 * `unauthenticated` when there is none, `config_invalid` for an unusable address or an exposed file.
 */
export async function resolveLogin(flags: LoginFlags, settings: Settings): Promise<Login> {
  const url = await resolveUrl(flags, settings);
  if (flags.token !== undefined) return { url, token: flags.token, source: "--token" };
  if (settings.token !== undefined) return { url, token: settings.token, source: "TIDEMARK_TOKEN" };
  if (settings.scalingoToken !== undefined && normaliseUrl(settings.scalingoUrl) === url) {
    return { url, token: settings.scalingoToken, source: "SCALINGO_API_TOKEN" };
  }
  const saved = (await readSavedLogins(settings.loginFile)).logins[url];
  if (saved !== undefined) return { url, token: saved.token, source: settings.loginFile };
  const local = await readLocalLogin(settings.platformHome);
  if (local !== undefined && local.url === url) return local;
  throw new TidemarkError("unauthenticated", `You are not logged in to ${url}`, {
    hint: "Log in with: tidemark login",
  });
}

/** The platform's address by the same order. Needs no token: `login` and `regions` use it before there is one. */
export async function resolveUrl(flags: Pick<LoginFlags, "url">, settings: Settings): Promise<string> {
  const given = normaliseUrl(flags.url) ?? normaliseUrl(settings.url) ?? normaliseUrl(settings.scalingoUrl);
  if (given !== undefined) return given;
  const { current } = await readSavedLogins(settings.loginFile);
  return normaliseUrl(current ?? undefined) ?? (await readLocalLogin(settings.platformHome))?.url ?? DEFAULT_URL;
}

async function readLocalLogin(platformHome: string): Promise<Login | undefined> {
  const file = join(platformHome, "local.json");
  const content = await readPrivateJson(file);
  if (!isJsonObject(content) || typeof content["url"] !== "string" || typeof content["token"] !== "string")
    return undefined;
  const url = normaliseUrl(content["url"]);
  return url === undefined ? undefined : { url, token: content["token"], source: file };
}

/** Scheme, host and port, the port always written: two platforms on one host are two logins. */
function normaliseUrl(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  const parsed = URL.parse(url);
  if (parsed === null || !["http:", "https:"].includes(parsed.protocol) || parsed.username !== "") {
    throw new TidemarkError("config_invalid", `"${url}" is not the address of a platform`, {
      hint: `Give scheme, host and port, such as ${DEFAULT_URL}`,
    });
  }
  const port = parsed.port || (parsed.protocol === "https:" ? "443" : "80");
  return `${parsed.protocol}//${parsed.hostname}:${port}`;
}
