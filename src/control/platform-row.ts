import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import type { Clock } from "../core/clock.ts";
import { newObjectId } from "../core/ids.ts";
import type { Secrets } from "./context.ts";
import type { ControlDatabase } from "./database.ts";
import type { PlatformTable } from "./schema.ts";

const SIGNING_KEY_BYTES = 32;

export interface PlatformKeys {
  readonly jwtKey: Uint8Array;
  readonly urlKey: Uint8Array;
}

/**
 * The installation's signing keys, unwrapped; made at the very first start, when `withSample` decides whether a sample will be made.
 * `key_missing` when the master key is not the one that wrapped them.
 */
export async function openPlatformKeys(
  { db }: ControlDatabase,
  { secrets, clock, withSample }: { secrets: Secrets; clock: Clock; withSample: boolean },
): Promise<PlatformKeys> {
  const existing = await db.selectFrom("platform").selectAll().executeTakeFirst();
  if (existing !== undefined) return await unwrapKeys(existing, secrets);
  await db
    .insertInto("platform")
    .values({
      installation_id: newObjectId(clock.now()),
      wrapped_jwt_key: await secrets.wrap(randomBytes(SIGNING_KEY_BYTES)),
      wrapped_url_key: await secrets.wrap(randomBytes(SIGNING_KEY_BYTES)),
      sample_state: withSample ? "none" : "done",
    })
    // Two processes may start at once: the first one's keys count.
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
  return await unwrapKeys(await db.selectFrom("platform").selectAll().executeTakeFirstOrThrow(), secrets);
}

async function unwrapKeys(row: Selectable<PlatformTable>, secrets: Secrets): Promise<PlatformKeys> {
  return {
    jwtKey: await secrets.unwrap(row.wrapped_jwt_key, "key that signs logins"),
    urlKey: await secrets.unwrap(row.wrapped_url_key, "key that signs downloads"),
  };
}
