import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import { sql } from "kysely";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { ControlDatabase } from "./database.ts";

/** What failures are counted by, and how many of them end in a pause: the rest of the window that began with the first. */
export interface FailureLimit {
  readonly key: string;
  readonly failuresMax: number;
  readonly windowMs: number;
}

const QUARTER_HOUR_MS = 15 * 60_000;
const MINUTE_MS = 60_000;
/** One address on one name: 960 guesses a day. Whoever else sits behind the address goes on logging in to other names. */
const FAILURES_OF_NAME_AND_ADDRESS_MAX = 10;
/** All addresses together on one name: too few to find a password, and more than the pranks of a few machines, which would lock its owner out. */
const FAILURES_OF_NAME_MAX = 100;
/** One address on whatever names. Its pauses are short: an office behind one address must not wait a quarter of an hour for one of its machines. */
const FAILURES_OF_ADDRESS_MAX = 30;
/** Half a million codes would have to be tried for an even chance; this allows 480 a day, to whoever has the password already. */
const SECOND_FACTOR_FAILURES_MAX = 5;
/** API tokens can't be guessed; this keeps a broken script from asking the database without end. */
const TOKEN_FAILURES_OF_ADDRESS_MAX = 60;
/** Longest of the windows above: rows older than this count for nothing. */
const WINDOW_MS_MAX = QUARTER_HOUR_MS;

/** Limits of a login by password. Names are hashed, since people type passwords into name fields. */
export function passwordLimits(input: {
  identifier: string;
  address: string;
}): readonly [FailureLimit, ...FailureLimit[]] {
  const name = createHash("sha256").update(input.identifier.toLowerCase()).digest("hex");
  const address = networkOf(input.address);
  return [
    { key: `pair:${name}:${address}`, failuresMax: FAILURES_OF_NAME_AND_ADDRESS_MAX, windowMs: QUARTER_HOUR_MS },
    { key: `name:${name}`, failuresMax: FAILURES_OF_NAME_MAX, windowMs: QUARTER_HOUR_MS },
    { key: `address:${address}`, failuresMax: FAILURES_OF_ADDRESS_MAX, windowMs: MINUTE_MS },
  ];
}

/** Limit of one-time passwords and recovery codes of a user, from wherever they come. */
export function secondFactorLimit(userId: string): FailureLimit {
  return { key: `otp:${userId}`, failuresMax: SECOND_FACTOR_FAILURES_MAX, windowMs: QUARTER_HOUR_MS };
}

/** Limit of a logged-in user's own password, asked for once more before a change. */
export function ownPasswordLimit(userId: string): FailureLimit {
  return { key: `own:${userId}`, failuresMax: FAILURES_OF_NAME_AND_ADDRESS_MAX, windowMs: QUARTER_HOUR_MS };
}

export function apiTokenLimit(address: string): FailureLimit {
  return { key: `token:${networkOf(address)}`, failuresMax: TOKEN_FAILURES_OF_ADDRESS_MAX, windowMs: MINUTE_MS };
}

/** `too_many_requests` while one of the limits is reached, with the seconds until the last of them is over. */
export async function refuseTooManyFailures(
  { db }: ControlDatabase,
  clock: Clock,
  limits: readonly FailureLimit[],
): Promise<void> {
  const rows = await db
    .selectFrom("login_attempts")
    .selectAll()
    .where(
      "key",
      "in",
      limits.map(({ key }) => key),
    )
    .execute();
  const waits = limits.map(({ key, failuresMax, windowMs }) => {
    const row = rows.find((each) => each.key === key);
    if (row === undefined || row.failures < failuresMax) return 0;
    return row.window_started_at.getTime() + windowMs - clock.now().getTime();
  });
  const waitSeconds = Math.ceil(Math.max(...waits) / 1000);
  if (waitSeconds <= 0) return;
  throw new TidemarkError("too_many_requests", `Too many failed logins; try again in ${waitSeconds} seconds`, {
    details: { retry_after_seconds: waitSeconds },
  });
}

/** Counts one failure for each limit: `isPause` when one of them is reached by it, `isOver` when one was before. */
export async function noteFailure(
  { db }: ControlDatabase,
  clock: Clock,
  limits: readonly FailureLimit[],
): Promise<{ readonly isPause: boolean; readonly isOver: boolean }> {
  const now = clock.now();
  let [isPause, isOver] = [false, false];
  for (const { key, failuresMax, windowMs } of limits) {
    const since = new Date(now.getTime() - windowMs);
    const { failures } = await db
      .insertInto("login_attempts")
      .values({ key, failures: 1, window_started_at: now })
      .onConflict((conflict) =>
        conflict.column("key").doUpdateSet({
          failures: sql`case when login_attempts.window_started_at > ${since} then login_attempts.failures + 1 else 1 end`,
          window_started_at: sql`case when login_attempts.window_started_at > ${since} then login_attempts.window_started_at else ${now} end`,
        }),
      )
      .returning("failures")
      .executeTakeFirstOrThrow();
    isPause ||= failures === failuresMax;
    isOver ||= failures > failuresMax;
  }
  const old = new Date(now.getTime() - WINDOW_MS_MAX);
  await db.deleteFrom("login_attempts").where("window_started_at", "<=", old).execute();
  return { isPause, isOver };
}

/** After a success. Only what the one who succeeded can't use to guess at somebody else's password is given here. */
export async function clearFailures({ db }: ControlDatabase, limit: FailureLimit): Promise<void> {
  await db.deleteFrom("login_attempts").where("key", "=", limit.key).execute();
}

/** An IPv6 client has a whole network of addresses to choose from, 64 bits of them as a rule: it counts as one. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%", 1).join("").split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array.from({ length: Math.max(0, zeros) }, () => "0"), ...back];
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
