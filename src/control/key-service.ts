import type { ObjectId } from "../core/ids.ts";
import type { Principal } from "./model.ts";

/** A public SSH key of a user. */
export interface SshKey {
  readonly id: ObjectId;
  readonly name: string;
  /** `ssh-ed25519 AAAA… comment` */
  readonly content: string;
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  readonly createdAt: Date;
}

/** The keys by which a user logs in at the SSH gateway. */
export interface KeyService {
  /** In order of addition. */
  list(principal: Principal): Promise<SshKey[]>;
  show(principal: Principal, keyId: string): Promise<SshKey>;
  /** `invalid_fields` for what is no public key that the gateway takes, and for a name or key that is there already, be it another user's. */
  add(principal: Principal, input: { name: string; content: string }): Promise<SshKey>;
  /** Ends tunnels of this key. */
  remove(principal: Principal, keyId: string): Promise<void>;
}
