import { generateKeyPairSync } from "node:crypto";

const TYPE = "ssh-ed25519";

/** The line of a new Ed25519 key's .pub file. Not by ssh2: of those that it makes, one in some hundred lacks a byte. */
export function newSshPublicKey(comment: string): string {
  const { x = "" } = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
  const blob = Buffer.concat([withLength(Buffer.from(TYPE)), withLength(Buffer.from(x, "base64url"))]);
  return `${TYPE} ${blob.toString("base64")} ${comment}`;
}

/** A string in SSH's wire encoding (RFC 4251, section 5). */
function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
