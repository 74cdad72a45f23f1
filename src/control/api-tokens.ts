import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { randomText } from "../core/random.ts";
import type { ControlDatabase } from "./database.ts";
import type { ApiToken } from "./model.ts";
import type { ApiTokenTable } from "./schema.ts";
import { readLabel } from "./user-input.ts";

const PREFIX = "tk-us-";
const RANDOM_CHARACTERS = 48;
const TOKENS_PER_USER_MAX = 100;
/** How exact `last_used_at` is: a write at each request would be one a call. */
const LAST_USED_RESOLUTION_MS = 60_000;

/** Makes a token; its secret is told once, here. `conflict` when the user has as many as one may have. */
export async function createApiToken(
  { db }: ControlDatabase,
  clock: Clock,
  input: { userId: ObjectId; name: string },
): Promise<ApiToken & { readonly secret: string }> {
  const name = readLabel(input.name);
  const { count } = await db
    .selectFrom("api_tokens")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where("user_id", "=", input.userId)
    .executeTakeFirstOrThrow();
  if (count >= TOKENS_PER_USER_MAX) {
    throw new TidemarkError("conflict", `There are ${count} API tokens already, as many as a user may have`, {
      hint: "Remove one that is not in use: tidemark tokens, then tidemark tokens-remove ID.",
    });
  }
  const secret = PREFIX + randomText(RANDOM_CHARACTERS);
  const row = await db
    .insertInto("api_tokens")
    .values({
      id: newObjectId(clock.now()),
      user_id: input.userId,
      name,
      secret_hash: hashSecret(secret),
      created_at: clock.now(),
      last_used_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { ...apiTokenOf(row), secret };
}

/** The token with this secret, its use noted; undefined when there is none. */
export async function useApiToken(
  { db }: ControlDatabase,
  clock: Clock,
  secret: string,
): Promise<{ tokenId: string; userId: ObjectId } | undefined> {
  const now = clock.now();
  const row = await db
    .selectFrom("api_tokens")
    .selectAll()
    .where("secret_hash", "=", hashSecret(secret))
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.last_used_at === null || now.getTime() - row.last_used_at.getTime() > LAST_USED_RESOLUTION_MS) {
    await db.updateTable("api_tokens").set({ last_used_at: now }).where("id", "=", row.id).execute();
  }
  return { tokenId: row.id, userId: row.user_id };
}

/** Newest first. */
export async function listApiTokens({ db }: ControlDatabase, userId: ObjectId): Promise<ApiToken[]> {
  const rows = await db
    .selectFrom("api_tokens")
    .selectAll()
    .where("user_id", "=", userId)
    .orderBy("id", "desc")
    .execute();
  return rows.map(apiTokenOf);
}

/** Ends the token and every login made from it, and tells its name. `not_found` when the user has none of this id. */
export async function removeApiToken(
  { db }: ControlDatabase,
  input: { userId: ObjectId; tokenId: string },
): Promise<string> {
  const removed = await db
    .deleteFrom("api_tokens")
    .where("id", "=", input.tokenId)
    .where("user_id", "=", input.userId)
    .returning("name")
    .executeTakeFirst();
  if (removed === undefined) {
    throw new TidemarkError("not_found", `There is no API token "${input.tokenId}"`, {
      hint: "tidemark tokens lists yours.",
    });
  }
  return removed.name;
}

function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

function apiTokenOf(row: Selectable<ApiTokenTable>): ApiToken {
  return { id: row.id, name: row.name, createdAt: row.created_at, lastUsedAt: row.last_used_at };
}
