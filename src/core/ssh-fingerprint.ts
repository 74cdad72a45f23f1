import { createHash } from "node:crypto";

/**
 * The fingerprint of a public key, as OpenSSH shows it: `SHA256:` and 43 characters of base64.
 *
 * @param publicKey in SSH's wire encoding: what stands in base64 as the second word of a public key's line.
 */
export function sshFingerprint(publicKey: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(publicKey).digest("base64").replace(/=+$/, "")}`;
}
