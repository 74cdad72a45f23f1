import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { decryptAgeBytes, encryptAgeBytes } from "../stream/age.ts";
import type { MasterKey } from "./master-key.ts";

/** The public half of a database's key pair, and the other half as an age file that the master key opens. */
export interface DatabaseKey {
  /** `age1...`: what its backups are encrypted to. */
  readonly recipient: string;
  readonly wrappedIdentity: Buffer;
}

/**
 * Draws the key pair of a new database.
 *
 * @param recipients who can unwrap it: the master key's recipient, and an offline one if there is one.
 */
export async function createDatabaseKey(recipients: readonly string[]): Promise<DatabaseKey> {
  const identity = await generateX25519Identity();
  return {
    recipient: await identityToRecipient(identity),
    wrappedIdentity: await encryptAgeBytes(recipients, Buffer.from(identity)),
  };
}

/** The public half of an unwrapped identity. */
export function recipientOf(identity: string): Promise<string> {
  return identityToRecipient(identity);
}

/**
 * Opens a database's identity.
 *
 * @param databaseId names it in errors.
 * @returns `AGE-SECRET-KEY-1...`: keep it in memory only.
 * @throws `key_missing` when it was wrapped to another master key, `object_corrupt` when its bytes were changed.
 */
export async function unwrapDatabaseKey(
  master: MasterKey,
  databaseId: string,
  wrappedIdentity: Uint8Array,
): Promise<string> {
  const identity = await decryptAgeBytes(wrappedIdentity, master.identity, `key of database ${databaseId}`);
  return identity.toString("utf8");
}
