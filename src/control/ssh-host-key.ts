import { assert } from "../core/assert.ts";
import type { Secrets } from "./context.ts";
import type { ControlDatabase } from "./database.ts";

export interface SshHostKey {
  /** OpenSSH's format. */
  readonly privateKey: string;
  /** One line: `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
}

/**
 * The host key of the installation's SSH gateways, made at the first call with `generate`. It never changes: clients remember it. `key_missing` when
 * the master key is not the one that wrapped it.
 */
export async function openSshHostKey(
  { db }: ControlDatabase,
  { secrets, generate }: { secrets: Secrets; generate: () => SshHostKey },
): Promise<SshHostKey> {
  const read = () => db.selectFrom("platform").select(["wrapped_ssh_host_key", "ssh_host_public_key"]);
  const existing = await read().executeTakeFirstOrThrow();
  if (existing.wrapped_ssh_host_key === null) {
    const made = generate();
    await db
      .updateTable("platform")
      .set({
        wrapped_ssh_host_key: await secrets.wrap(Buffer.from(made.privateKey)),
        ssh_host_public_key: made.publicKey,
      })
      // Two processes may start at once: the first one's key counts.
      .where("wrapped_ssh_host_key", "is", null)
      .execute();
  }
  const { wrapped_ssh_host_key: wrapped, ssh_host_public_key: publicKey } = await read().executeTakeFirstOrThrow();
  assert(wrapped !== null && publicKey !== null, "the platform has a host key once it was made");
  const privateKey = (await secrets.unwrap(wrapped, "host key of the SSH gateway")).toString("utf8");
  return { privateKey, publicKey };
}
