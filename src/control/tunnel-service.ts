import type { AddonId } from "../core/ids.ts";
import type { Principal } from "./model.ts";

/** Who is at the other end of an SSH connection (with the client's address), and by which of their keys. */
export interface TunnelCaller {
  readonly principal: Principal;
  readonly keyId: string;
  /** As its owner called it. */
  readonly keyName: string;
}

/** Where a tunnel ends: the server of one database, as this machine reaches it. */
export interface TunnelTarget {
  readonly addonId: AddonId;
  readonly resourceId: string;
  readonly host: string;
  readonly port: number;
}

/** What the SSH gateway asks of the platform. It decides everything; the gateway only forwards. */
export interface TunnelService {
  /** Whose public key this is (`publicKey` in SSH's wire encoding); undefined when it is nobody's. */
  authenticate(input: { publicKey: Uint8Array; address: string }): Promise<TunnelCaller | undefined>;
  /**
   * The database that the caller may reach at exactly this host and port, those of its connection URI. Records the event. `not_found` for anything
   * else, `server_not_running` while it doesn't run.
   */
  open(caller: TunnelCaller, destination: { host: string; port: number }): Promise<TunnelTarget>;
  /** The databases whose tunnels the caller may keep; undefined when the key or its user is gone, or is somebody else's by now. */
  review(caller: TunnelCaller): Promise<ReadonlySet<AddonId> | undefined>;
  /** A JWT of the caller: logging in by key. */
  issueJwt(caller: TunnelCaller): Promise<string>;
}
