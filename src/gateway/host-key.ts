import { createHash } from "node:crypto";
import ssh2 from "ssh2";
import { TidemarkError } from "../core/errors.ts";

export interface HostKey {
  /** OpenSSH's format for private keys. */
  readonly privateKey: string;
  /** One line: `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
}

/** A new key pair by which clients know the gateway. Ed25519: every client of the last ten years knows it. */
export function generateHostKey(): HostKey {
  const pair = ssh2.utils.generateKeyPairSync("ed25519", { comment: "tidemark" });
  return { privateKey: pair.private, publicKey: publicLine(pair.public) };
}

/** The key pair of a private key; `object_corrupt` when that is none. */
export function readHostKey(privateKey: string): HostKey {
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error)
    throw new TidemarkError("object_corrupt", "The SSH gateway's host key can't be read", { cause: parsed });
  return { privateKey, publicKey: `${parsed.type} ${parsed.getPublicSSH().toString("base64")}` };
}

/** As OpenSSH shows it: `SHA256:` and 43 characters. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** Without the comment. */
function publicLine(text: string): string {
  return text.split(" ").slice(0, 2).join(" ").trim();
}
