import { TidemarkError } from "../core/errors.ts";
import type { ControlContext } from "./context.ts";
import { recordEvent } from "./events.ts";
import { clearFailures, noteFailure, refuseTooManyFailures, secondFactorLimit } from "./login-limits.ts";
import type { Principal } from "./model.ts";
import { describeSecret, hashRecoveryCode, newOneTimeSecret, newRecoveryCodes, stepOf } from "./one-time-passwords.ts";
import type { SecondFactorService } from "./second-factor-service.ts";

export type SecondFactorContext = Pick<ControlContext, "database" | "clock" | "secrets">;

export function createSecondFactorService(context: SecondFactorContext): SecondFactorService {
  const { db } = context.database;
  return {
    status: async ({ userId }) => ({ isEnabled: await hasSecondFactor(context, userId) }),
    begin: (principal) => beginSecondFactor(context, principal),
    confirm: (principal, attempt) => confirmSecondFactor(context, principal, attempt),
    async disable(principal, attempt) {
      if (!(await hasSecondFactor(context, principal.userId))) {
        throw new TidemarkError("conflict", "There is no second factor to disable");
      }
      if (!(await takeSecondFactor(context, principal.userId, attempt))) throw wrongAttempt();
      await db.transaction().execute(async (transaction) => {
        await transaction.deleteFrom("second_factors").where("user_id", "=", principal.userId).execute();
        await recordEvent(transaction, { type: "tfa_disabled", data: {}, actor: principal, at: context.clock.now() });
      });
    },
  };
}

export async function hasSecondFactor(
  { database }: Pick<SecondFactorContext, "database">,
  userId: Principal["userId"],
): Promise<boolean> {
  const row = await database.db
    .selectFrom("second_factors")
    .select("enabled_at")
    .where("user_id", "=", userId)
    .executeTakeFirst();
  return row !== undefined && row.enabled_at !== null;
}

/**
 * Takes a one-time password or a recovery code of a user with a second factor; either is good for one time. False when it is wrong or was used;
 * `too_many_requests` after several of these.
 */
export async function takeSecondFactor(
  context: SecondFactorContext,
  userId: Principal["userId"],
  attempt: string,
): Promise<boolean> {
  const { database, clock } = context;
  const limit = secondFactorLimit(userId);
  await refuseTooManyFailures(database, clock, [limit]);
  // Counted before it is looked at: of many that come at once, no more are looked at than of those that come one by one.
  const { isOver } = await noteFailure(database, clock, [limit]);
  if (isOver) await refuseTooManyFailures(database, clock, [limit]);
  if ((await takeOneTimePassword(context, userId, attempt)) || (await takeRecoveryCode(context, userId, attempt))) {
    await clearFailures(database, limit);
    return true;
  }
  return false;
}

/** The step is stored with the condition that it is a later one, in one statement: of two requests with one password one gets in. */
async function takeOneTimePassword(
  { database, clock, secrets }: SecondFactorContext,
  userId: Principal["userId"],
  attempt: string,
): Promise<boolean> {
  const row = await database.db
    .selectFrom("second_factors")
    .select("wrapped_secret")
    .where("user_id", "=", userId)
    .executeTakeFirst();
  if (row === undefined) return false;
  const secret = await secrets.unwrap(row.wrapped_secret, "secret of a second factor");
  const step = stepOf(attempt, secret, clock.now());
  if (step === undefined) return false;
  const { numUpdatedRows } = await database.db
    .updateTable("second_factors")
    .set({ last_step: step })
    .where("user_id", "=", userId)
    .where("last_step", "<", step)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

async function takeRecoveryCode(
  { database }: SecondFactorContext,
  userId: Principal["userId"],
  attempt: string,
): Promise<boolean> {
  const { numDeletedRows } = await database.db
    .deleteFrom("recovery_codes")
    .where("user_id", "=", userId)
    .where("code_hash", "=", hashRecoveryCode(attempt))
    .executeTakeFirst();
  return numDeletedRows === 1n;
}

async function beginSecondFactor(
  { database, clock, secrets }: SecondFactorContext,
  { userId, username }: Principal,
): Promise<{ readonly uri: string; readonly secret: string }> {
  const secret = newOneTimeSecret();
  const wrapped = await secrets.wrap(secret);
  const fresh = { wrapped_secret: wrapped, last_step: -1, created_at: clock.now() };
  const stored = await database.db
    .insertInto("second_factors")
    .values({ user_id: userId, enabled_at: null, ...fresh })
    .onConflict((conflict) =>
      conflict.column("user_id").doUpdateSet(fresh).where("second_factors.enabled_at", "is", null),
    )
    .returning("user_id")
    .executeTakeFirst();
  if (stored === undefined) {
    throw new TidemarkError("conflict", "There is a second factor already", {
      hint: "To change the device, disable it first: tidemark two-factor-disable CODE.",
    });
  }
  return describeSecret({ secret, username });
}

async function confirmSecondFactor(
  context: SecondFactorContext,
  principal: Principal,
  attempt: string,
): Promise<string[]> {
  const { database, clock } = context;
  const pending = await database.db
    .selectFrom("second_factors")
    .select("user_id")
    .where("user_id", "=", principal.userId)
    .where("enabled_at", "is", null)
    .executeTakeFirst();
  if (pending === undefined) {
    throw new TidemarkError("conflict", "There is no second factor to confirm", {
      hint: "Begin with: tidemark two-factor-enable.",
    });
  }
  // Not limited: it is the user's own secret, and guessing it gains nothing.
  if (!(await takeOneTimePassword(context, principal.userId, attempt))) throw wrongAttempt();
  const codes = newRecoveryCodes();
  await database.db.transaction().execute(async (transaction) => {
    await transaction
      .updateTable("second_factors")
      .set({ enabled_at: clock.now() })
      .where("user_id", "=", principal.userId)
      .execute();
    const rows = codes.map((code) => ({ user_id: principal.userId, code_hash: hashRecoveryCode(code) }));
    await transaction.insertInto("recovery_codes").values(rows).execute();
    const data = { provider: "totp" };
    await recordEvent(transaction, { type: "tfa_enabled", data, actor: principal, at: clock.now() });
  });
  return codes;
}

function wrongAttempt(): TidemarkError {
  return new TidemarkError("invalid_fields", "This code is wrong, or was used already", {
    fields: { attempt: ["is wrong, or was used already"] },
    hint: "Wait for the next code of your device; check that its clock is right.",
  });
}
