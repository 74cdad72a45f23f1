import ssh2 from "ssh2";
import type { SshHostKey } from "../control/ssh-host-key.ts";

/** A new key pair by which clients know the gateway. Ed25519: every client of the last ten years knows it. */
export function generateHostKey(): SshHostKey {
  for (;;) {
    const privateKey = ssh2.utils.generateKeyPairSync("ed25519").private;
    const key = ssh2.utils.parseKey(privateKey);
    // One in some hundred that the library makes, it can't read again itself.
    if (key instanceof Error) continue;
    return { privateKey, publicKey: `${key.type} ${key.getPublicSSH().toString("base64")}` };
  }
}
