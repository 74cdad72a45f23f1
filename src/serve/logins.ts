import { readFile } from "node:fs/promises";
import { z } from "zod";
import { createApiToken, useApiToken } from "../control/api-tokens.ts";
import type { ControlDatabase } from "../control/database.ts";
import { insertUser } from "../control/users.ts";
import type { Clock } from "../core/clock.ts";
import { systemErrorCode } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import { randomText } from "../core/random.ts";
import { homePaths, writeFileWhole } from "./home.ts";

/** 119 random bits, and still typed by hand if need be. */
export const OWNER_PASSWORD_CHARACTERS = 20;

const localLogin = z.object({ url: z.string(), token: z.string() });

export interface FirstLogin {
  readonly username: string;
  readonly password: string;
  /** The file that holds it, readable by the platform's user only. */
  readonly file: string;
}

/**
 * Makes the owner's account at the first start and writes its password and an API token to `first-login`. Undefined when there is an owner.
 * The file is written before the account is committed, so that no account exists whose password nobody knows.
 */
export async function ensureOwner(
  database: ControlDatabase,
  { home, clock, url }: { home: string; clock: Clock; url: string },
): Promise<FirstLogin | undefined> {
  const owner = await findOwner(database);
  if (owner !== undefined) return undefined;
  const password = randomText(OWNER_PASSWORD_CHARACTERS);
  const file = homePaths(home).firstLogin;
  return await database.db.transaction().execute(async (db) => {
    const within = { ...database, db };
    const user = await insertUser(within, clock, {
      username: "owner",
      email: "owner@localhost",
      fullname: "Owner",
      password,
      isPlatformOwner: true,
    });
    const token = await createApiToken(within, clock, { userId: user.id, name: "first login" });
    const lines = [`url: ${url}`, `username: ${user.username}`, `password: ${password}`, `token: ${token.secret}`];
    await writeFileWhole(file, `${lines.join("\n")}\n`);
    return { username: user.username, password, file };
  });
}

/** Keeps `local.json`, by which the command line on this machine logs in as the owner: the address of now, and a token that works. */
export async function ensureLocalLogin(
  database: ControlDatabase,
  { home, clock, url }: { home: string; clock: Clock; url: string },
): Promise<void> {
  const owner = await findOwner(database);
  if (owner === undefined) return;
  const path = homePaths(home).localLogin;
  const known = await readLocalLogin(path);
  const works = known !== undefined && (await useApiToken(database, clock, known.token)) !== undefined;
  if (works && known.url === url) return;
  const token = works
    ? known.token
    : (await createApiToken(database, clock, { userId: owner.id, name: "local command line" })).secret;
  await writeFileWhole(path, `${JSON.stringify({ url, token })}\n`);
}

async function findOwner({ db }: ControlDatabase): Promise<{ id: ObjectId } | undefined> {
  return await db.selectFrom("users").select("id").where("is_platform_owner", "=", true).executeTakeFirst();
}

async function readLocalLogin(path: string): Promise<z.infer<typeof localLogin> | undefined> {
  try {
    return localLogin.safeParse(JSON.parse(await readFile(path, "utf8"))).data;
  } catch (error) {
    // Absent, or cut by a full disk: made anew.
    if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
