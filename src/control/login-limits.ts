import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { ControlDatabase } from "./database.ts";

/** So many wrong passwords for one name or from one address, then a pause: 10 in 15 minutes makes 960 guesses a day. */
const FAILURES_MAX = 10;
const WINDOW_MS = 15 * 60_000;

/** What failures are counted by: the name given and the client's address. Hashed, since people type passwords into name fields. */
export function loginKeys(input: { identifier: string; address: string }): string[] {
  const digest = createHash("sha256").update(input.identifier.toLowerCase()).digest("hex");
  return [`name:${digest}`, `address:${input.address}`];
}

/** `too_many_requests` while one of the keys has too many failures in its window. */
export async function refuseTooManyFailures({ db }: ControlDatabase, clock: Clock, keys: string[]): Promise<void> {
  const since = new Date(clock.now().getTime() - WINDOW_MS);
  const row = await db
    .selectFrom("login_attempts")
    .select("window_started_at")
    .where("key", "in", keys)
    .where("failures", ">=", FAILURES_MAX)
    .where("window_started_at", ">", since)
    .orderBy("window_started_at", "desc")
    .executeTakeFirst();
  if (row === undefined) return;
  const waitSeconds = Math.ceil((row.window_started_at.getTime() + WINDOW_MS - clock.now().getTime()) / 1000);
  throw new TidemarkError("too_many_requests", `Too many failed logins; try again in ${waitSeconds} seconds`, {
    details: { retry_after_seconds: waitSeconds },
  });
}

export async function noteLoginFailure({ db }: ControlDatabase, clock: Clock, keys: string[]): Promise<void> {
  const now = clock.now();
  const since = new Date(now.getTime() - WINDOW_MS);
  await db
    .insertInto("login_attempts")
    .values(keys.map((key) => ({ key, failures: 1, window_started_at: now })))
    .onConflict((conflict) =>
      conflict.column("key").doUpdateSet({
        failures: sql`case when login_attempts.window_started_at > ${since} then login_attempts.failures + 1 else 1 end`,
        window_started_at: sql`case when login_attempts.window_started_at > ${since} then login_attempts.window_started_at else ${now} end`,
      }),
    )
    .execute();
  await db.deleteFrom("login_attempts").where("window_started_at", "<=", since).execute();
}

export async function clearLoginFailures({ db }: ControlDatabase, keys: string[]): Promise<void> {
  await db.deleteFrom("login_attempts").where("key", "in", keys).execute();
}
