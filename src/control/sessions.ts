import { createHash } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { randomText } from "../core/random.ts";
import type { ControlContext } from "./context.ts";
import type { Principal } from "./model.ts";
import type { BrowserSession, SessionService } from "./session-service.ts";
import { loadPrincipal } from "./users.ts";

/** 286 random bits. */
const SECRET_CHARACTERS = 48;
/** A browser that nobody uses for this long is asked to log in again: a working day. */
const IDLE_MS = 12 * 3600_000;
/** However busy: a stolen cookie is worth no more than this. */
const LIFETIME_MS = 7 * 24 * 3600_000;
/** How exact `last_seen_at` is: a write at each request would be one a call. */
const LAST_SEEN_RESOLUTION_MS = 60_000;

/** Logins of browsers. Only hashes are stored; the proof against forged requests is made from the secret, so that it needs no place of its own. */
export function createSessionService(context: Pick<ControlContext, "database" | "clock">): SessionService {
  const { db } = context.database;
  return {
    open: (principal) => openSession(context, principal),
    authenticate: (secret) => authenticateSession(context, secret),
    async close(secret) {
      await db.deleteFrom("browser_sessions").where("secret_hash", "=", hashOf(secret)).execute();
    },
  };
}

async function openSession(
  { database: { db }, clock }: Pick<ControlContext, "database" | "clock">,
  principal: Principal,
): Promise<BrowserSession & { readonly secret: string }> {
  const now = clock.now();
  await db
    .deleteFrom("browser_sessions")
    .where("user_id", "=", principal.userId)
    .where((row) =>
      row.or([
        row("created_at", "<=", new Date(now.getTime() - LIFETIME_MS)),
        row("last_seen_at", "<=", new Date(now.getTime() - IDLE_MS)),
      ]),
    )
    .execute();
  const secret = randomText(SECRET_CHARACTERS);
  await db
    .insertInto("browser_sessions")
    .values({
      id: newObjectId(now),
      user_id: principal.userId,
      secret_hash: hashOf(secret),
      login_epoch: principal.loginEpoch,
      created_at: now,
      last_seen_at: now,
    })
    .execute();
  return { secret, principal, csrfToken: csrfTokenOf(secret), expiresAt: new Date(now.getTime() + LIFETIME_MS) };
}

async function authenticateSession(
  { database, clock }: Pick<ControlContext, "database" | "clock">,
  secret: string,
): Promise<BrowserSession> {
  const { db } = database;
  const now = clock.now();
  const row = await db
    .selectFrom("browser_sessions")
    .selectAll()
    .where("secret_hash", "=", hashOf(secret))
    .executeTakeFirst();
  const expiresAt = new Date((row?.created_at.getTime() ?? 0) + LIFETIME_MS);
  if (row === undefined || expiresAt <= now || now.getTime() - row.last_seen_at.getTime() >= IDLE_MS) {
    throw new TidemarkError("unauthenticated", "This session is over", { hint: "Log in again." });
  }
  const principal = await loadPrincipal(database, {
    userId: row.user_id,
    apiTokenId: null,
    loginEpoch: row.login_epoch,
  });
  if (now.getTime() - row.last_seen_at.getTime() > LAST_SEEN_RESOLUTION_MS) {
    await db.updateTable("browser_sessions").set({ last_seen_at: now }).where("id", "=", row.id).execute();
  }
  return { principal, csrfToken: csrfTokenOf(secret), expiresAt };
}

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Another hash than the one that is stored: whoever reads the table can't make it. */
function csrfTokenOf(secret: string): string {
  return createHash("sha256").update(`csrf ${secret}`).digest("base64url");
}
