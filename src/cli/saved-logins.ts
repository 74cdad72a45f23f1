import { TidemarkError } from "../core/errors.ts";
import { isJsonObject } from "./decode.ts";
import { readPrivateJson, writePrivateJson } from "./private-file.ts";

/** Version of the file's shape. */
const FILE_VERSION = 1;

export interface SavedLogin {
  readonly token: string;
  readonly username: string;
  /** The token's id when `login` made it, so that `logout` can remove it; null for a token that the user brought. */
  readonly tokenId: string | null;
}

/** Logins by address, and the address that was logged in to last. */
export interface SavedLogins {
  readonly current: string | null;
  readonly logins: Readonly<Record<string, SavedLogin>>;
}

/** `config_invalid` when others can read the file, or it is damaged or of a newer version. */
export async function readSavedLogins(file: string): Promise<SavedLogins> {
  const content = await readPrivateJson(file);
  if (content === undefined) return { current: null, logins: {} };
  if (!isJsonObject(content) || content["version"] !== FILE_VERSION || !isJsonObject(content["logins"])) {
    throw new TidemarkError("config_invalid", `Cannot read the login file "${file}": its shape is not known`, {
      hint: `Remove it and log in again: rm ${file}`,
    });
  }
  const logins = Object.entries(content["logins"]).flatMap(([url, entry]): [string, SavedLogin][] => {
    const login = readLogin(entry);
    return login === undefined ? [] : [[url, login]];
  });
  const current = typeof content["current"] === "string" ? content["current"] : null;
  return { current, logins: Object.fromEntries(logins) };
}

/** Adds the login, or replaces the one of the same address, and makes it the current one. */
export async function saveLogin(file: string, { url, login }: { url: string; login: SavedLogin }): Promise<void> {
  const { logins } = await readSavedLogins(file);
  await writePrivateJson(file, { version: FILE_VERSION, current: url, logins: { ...logins, [url]: login } });
}

/** Forgets the login of this address, and says which it was; undefined when there is none. */
export async function forgetLogin(file: string, url: string): Promise<SavedLogin | undefined> {
  const saved = await readSavedLogins(file);
  const { [url]: forgotten, ...logins } = saved.logins;
  if (forgotten === undefined) return undefined;
  await writePrivateJson(file, {
    version: FILE_VERSION,
    current: saved.current === url ? null : saved.current,
    logins,
  });
  return forgotten;
}

function readLogin(entry: unknown): SavedLogin | undefined {
  if (!isJsonObject(entry) || typeof entry["token"] !== "string" || typeof entry["username"] !== "string")
    return undefined;
  const tokenId = entry["tokenId"];
  return {
    token: entry["token"],
    username: entry["username"],
    tokenId: typeof tokenId === "string" ? tokenId : null,
  };
}
