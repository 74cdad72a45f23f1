import { createPublicKey } from "node:crypto";
import ssh2 from "ssh2";
import { TidemarkError } from "../core/errors.ts";
import { sshFingerprint } from "../core/ssh-fingerprint.ts";

/** A key of 16,384 bits of RSA, the largest that OpenSSH takes, has 2,800 characters. */
const CONTENT_CHARACTERS_MAX = 8192;
/** As OpenSSH and NIST have it: shorter ones can be factored by whoever cares to pay. */
const RSA_BITS_MIN = 2048;
const ECDSA_OR_ED25519 = /^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521))$/;

/**
 * Reads the line of a public key's file: type, key in base64, and a comment if there is one. Ed25519, ECDSA, and RSA of 2048 bits or more.
 * `invalid_fields` for anything else; a private key is refused by name, so that nobody believes it was taken.
 */
export function readSshPublicKey(content: string): { readonly content: string; readonly fingerprint: string } {
  const line = content.trim();
  if (line.includes("PRIVATE KEY"))
    throw refused("is a private key: send the file that ends in .pub, and keep this one");
  if (line.length > CONTENT_CHARACTERS_MAX || /\p{Cc}/u.test(line)) throw refused("is not one line of a public key");
  const [, type = "", encoded = ""] = /^(\S+) +([A-Za-z0-9+/]+=*)( .*)?$/.exec(line) ?? [];
  const key = encoded === "" ? undefined : ssh2.utils.parseKey(`${type} ${encoded}`);
  if (key === undefined || key instanceof Error || key.type !== type) {
    throw refused("is not a public key in OpenSSH's format: ssh-ed25519 AAAA... comment");
  }
  if (type === "ssh-rsa") requireLongRsa(key.getPublicPEM());
  else if (!ECDSA_OR_ED25519.test(type)) throw refused(`has the type "${type}"; it must be Ed25519, ECDSA or RSA`);
  return { content: line, fingerprint: sshFingerprint(key.getPublicSSH()) };
}

function requireLongRsa(pem: string): void {
  const bits = createPublicKey(pem).asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < RSA_BITS_MIN) throw refused(`is an RSA key of ${bits} bits; it must have ${RSA_BITS_MIN} at least`);
}

function refused(why: string): TidemarkError {
  return new TidemarkError("invalid_fields", `The key ${why}`, { fields: { content: [why] } });
}
