import ssh2, { type PublicKeyAuthContext } from "ssh2";

/** Kinds of keys that may log in. DSA is too weak, and those of security keys are not understood. */
const KEY_TYPES = new Set([
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
]);

/** Whether a key of this kind is taken at all. RSA needs SHA-2: clients say so by the algorithm's name, and SHA-1 can be forged. */
export function isAcceptable({ key, hashAlgo }: PublicKeyAuthContext): boolean {
  return KEY_TYPES.has(key.algo) && (key.algo !== "ssh-rsa" || hashAlgo === "sha256" || hashAlgo === "sha512");
}

/** Whether the client holds the private key: its signature is over what only this connection has. */
export function isSigned(context: PublicKeyAuthContext): boolean {
  if (context.signature === undefined || context.blob === undefined) return false;
  const key = ssh2.utils.parseKey(context.key.data);
  if (key instanceof Error) return false;
  return key.verify(context.blob, context.signature, context.hashAlgo);
}
