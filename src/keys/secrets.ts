import { decryptAgeBytes, encryptAgeBytes } from "../stream/age.ts";
import type { MasterKey } from "./master-key.ts";

/** Wraps a small secret (a password, a signing key), so that it may lie in the control database. The result is an age file. */
export async function wrapSecret(master: Pick<MasterKey, "recipient">, secret: Uint8Array | string): Promise<Buffer> {
  return encryptAgeBytes([master.recipient], typeof secret === "string" ? Buffer.from(secret, "utf8") : secret);
}

/**
 * Opens a wrapped secret.
 *
 * @param what names it in errors, `password of my_app_4553` say.
 * @throws `key_missing` when it was wrapped to another master key, `object_corrupt` when its bytes were changed.
 */
export async function unwrapSecret(master: MasterKey, wrapped: Uint8Array, what: string): Promise<Buffer> {
  return decryptAgeBytes(wrapped, master.identity, what);
}
