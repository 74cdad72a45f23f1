import { type Selectable, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { sshFingerprint } from "../core/ssh-fingerprint.ts";
import type { ControlContext } from "./context.ts";
import { type ControlDatabase, UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { recordEvent } from "./events.ts";
import type { KeyService, SshKey } from "./key-service.ts";
import type { Principal } from "./model.ts";
import type { SshKeyTable } from "./schema.ts";
import { readSshPublicKey } from "./ssh-public-key.ts";
import { readLabel } from "./user-input.ts";

/** More than anybody's machines; keeps lists bounded. */
const KEYS_PER_USER_MAX = 100;

type KeyContext = Pick<ControlContext, "database" | "clock">;

export function createKeyService(context: KeyContext): KeyService {
  const { db } = context.database;
  return {
    async list(principal) {
      const rows = await db
        .selectFrom("ssh_keys")
        .selectAll()
        .where("user_id", "=", principal.userId)
        .orderBy("id")
        .execute();
      return rows.map(keyOf);
    },
    async show(principal, keyId) {
      const row = await db
        .selectFrom("ssh_keys")
        .selectAll()
        .where("user_id", "=", principal.userId)
        .where(sql`id`, "=", keyId)
        .executeTakeFirst();
      if (row === undefined) throw keyNotFound(keyId);
      return keyOf(row);
    },
    add: (principal, input) => addKey(context, principal, input),
    remove: (principal, keyId) => removeKey(context, principal, keyId),
  };
}

/** Whose public key this is; undefined when it is nobody's. `publicKey` is in SSH's wire encoding. */
export async function findUserByKey(
  { db }: ControlDatabase,
  publicKey: Uint8Array,
): Promise<{ readonly keyId: ObjectId; readonly keyName: string; readonly userId: ObjectId } | undefined> {
  return await db
    .selectFrom("ssh_keys")
    .select(["id as keyId", "name as keyName", "user_id as userId"])
    .where("fingerprint", "=", sshFingerprint(publicKey))
    .executeTakeFirst();
}

async function addKey(
  { database, clock }: KeyContext,
  principal: Principal,
  input: { name: string; content: string },
): Promise<SshKey> {
  const name = readLabel(input.name);
  const key = readSshPublicKey(input.content);
  try {
    return await database.db.transaction().execute(async (transaction) => {
      const { count } = await transaction
        .selectFrom("ssh_keys")
        .select((row) => row.fn.countAll<number>().as("count"))
        .where("user_id", "=", principal.userId)
        .executeTakeFirstOrThrow();
      if (count >= KEYS_PER_USER_MAX) {
        throw new TidemarkError("conflict", `There are ${count} SSH keys already, as many as a user may have`, {
          hint: "Remove one that is not in use: tidemark keys, then tidemark keys-remove NAME.",
        });
      }
      const row = await transaction
        .insertInto("ssh_keys")
        .values({ id: newObjectId(clock.now()), user_id: principal.userId, name, ...key, created_at: clock.now() })
        .returningAll()
        .executeTakeFirstOrThrow();
      const data = { name, fingerprint: key.fingerprint };
      await recordEvent(transaction, { type: "new_key", data, actor: principal, at: clock.now() });
      return keyOf(row);
    });
  } catch (error) {
    throw takenKey(error) ?? error;
  }
}

async function removeKey({ database, clock }: KeyContext, principal: Principal, keyId: string): Promise<void> {
  await database.db.transaction().execute(async (transaction) => {
    const row = await transaction
      .deleteFrom("ssh_keys")
      .where("user_id", "=", principal.userId)
      .where(sql`id`, "=", keyId)
      .returning(["name", "fingerprint"])
      .executeTakeFirst();
    if (row === undefined) throw keyNotFound(keyId);
    await recordEvent(transaction, { type: "delete_key", data: row, actor: principal, at: clock.now() });
  });
}

/** A key that another user has is refused like one's own: it would log in one of the two, and nobody could say which. */
function takenKey(thrown: unknown): TidemarkError | undefined {
  const violated = violatedConstraint(thrown, UNIQUE_VIOLATION);
  if (violated === undefined) return undefined;
  const fields = violated === "ssh_keys_name" ? { name: ["is taken"] } : { content: ["is in use already"] };
  const message = violated === "ssh_keys_name" ? "There is a key of this name" : "This key is in use already";
  return new TidemarkError("invalid_fields", message, { fields, cause: thrown });
}

function keyNotFound(keyId: string): TidemarkError {
  return new TidemarkError("not_found", `There is no SSH key "${keyId}"`, { hint: "tidemark keys lists yours." });
}

function keyOf(row: Selectable<SshKeyTable>): SshKey {
  return {
    id: row.id,
    name: row.name,
    content: row.content,
    fingerprint: row.fingerprint,
    createdAt: row.created_at,
  };
}
