import ssh2, { type AnyAuthMethod, type Client, type ClientChannel, type ClientErrorExtensions } from "ssh2";
import { SSH_USER } from "./ssh-identity.ts";
import { TidemarkError } from "../core/errors.ts";
import { sshFingerprint } from "../core/ssh-fingerprint.ts";

/** From connecting to the end of the login. */
const LOGIN_TIMEOUT_MS = 20_000;
/** A gateway that is gone without a word is found in this time, three unanswered questions long. */
const KEEPALIVE_INTERVAL_MS = 15_000;
const KEEPALIVES_UNANSWERED_MAX = 3;
/** What the gateway gives a JWT on. */
const LOGIN_SUBSYSTEM = "login@tidemark";
/** A JWT has some hundred bytes. */
const JWT_BYTES_MAX = 8192;

export interface SshGateway {
  readonly host: string;
  readonly port: number;
  /** The key that the platform's API says it has, in base64 of SSH's wire encoding. */
  readonly hostKey: string;
}

export interface SshLogin {
  readonly gateway: SshGateway;
  /** In the order in which they are tried. */
  readonly identities: readonly AnyAuthMethod[];
  readonly signal: AbortSignal;
}

/**
 * The gateway of a region's reply. `reply_unreadable` when the region doesn't say its address and key: an SSH connection whose other end isn't known
 * would hand the database's password to anybody.
 */
export function readGateway(region: { ssh: string | null; ssh_host_key: string | null } | undefined): SshGateway {
  const [, host = "", port = ""] = /^\[?(.+?)\]?:(\d+)$/.exec(region?.ssh ?? "") ?? [];
  const [, hostKey = ""] = (region?.ssh_host_key ?? "").split(" ");
  if (host === "" || hostKey === "") {
    throw new TidemarkError("reply_unreadable", "The platform doesn't say where its SSH gateway is, and by which key", {
      hint: "tidemark regions --json shows what it says; its `ssh` and `ssh_host_key` are needed.",
    });
  }
  return { host, port: Number(port), hostKey };
}

/**
 * Logs in to the gateway. The client that is returned is to be ended by the caller; its errors are no longer thrown. `platform_unreachable` when
 * nobody answers, `host_key_mismatch` when somebody else does, `unauthenticated` when none of the keys is known.
 */
export async function openSshSession({ gateway, identities, signal }: SshLogin): Promise<Client> {
  signal.throwIfAborted();
  const client = new ssh2.Client();
  let shownKey: Buffer | undefined;
  let lastError: (Error & ClientErrorExtensions) | undefined;
  // An agent that is away is an error too, after which the next key is tried: only the connection's end is a failure.
  client.on("error", (error) => (lastError = error));
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  client.once("ready", resolve);
  client.once("close", () => reject(lastError ?? new Error("the connection was closed")));
  const abort = (): void => {
    client.destroy();
    reject(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  client.connect({
    host: gateway.host,
    port: gateway.port,
    authHandler: [...identities],
    readyTimeout: LOGIN_TIMEOUT_MS,
    keepaliveInterval: KEEPALIVE_INTERVAL_MS,
    keepaliveCountMax: KEEPALIVES_UNANSWERED_MAX,
    hostVerifier: (key: Buffer) => {
      shownKey = key;
      return key.toString("base64") === gateway.hostKey;
    },
    username: SSH_USER,
  });
  try {
    await ready;
    return client;
  } catch (error) {
    client.destroy();
    signal.throwIfAborted();
    throw loginFailure(error, { gateway, shownKey });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A JWT of the user whose key logged in: the platform gives an API token for it. */
export async function requestJwt(client: Client): Promise<string> {
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.subsys(LOGIN_SUBSYSTEM, (error, opened) => (error === undefined ? resolve(opened) : reject(error)));
  });
  let jwt = "";
  for await (const chunk of channel) {
    jwt += String(chunk);
    if (jwt.length > JWT_BYTES_MAX) break;
  }
  return jwt;
}

function loginFailure(
  error: unknown,
  { gateway, shownKey }: { gateway: SshGateway; shownKey: Buffer | undefined },
): TidemarkError {
  const place = `${gateway.host}:${gateway.port}`;
  if (shownKey !== undefined && shownKey.toString("base64") !== gateway.hostKey) {
    return new TidemarkError(
      "host_key_mismatch",
      `The SSH gateway at ${place} has the key ${sshFingerprint(shownKey)}, and the platform's API says another`,
      { hint: "Somebody else may answer there. Don't connect before whoever runs the platform has explained it." },
    );
  }
  const level = error instanceof Error && "level" in error ? error.level : undefined;
  if (level === "client-authentication") {
    return new TidemarkError("unauthenticated", `The SSH gateway at ${place} knows none of your keys`, {
      hint: "Add one with: tidemark keys-add NAME ~/.ssh/id_ed25519.pub",
      cause: error,
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new TidemarkError("platform_unreachable", `Cannot reach the SSH gateway at ${place}: ${reason}`, {
    hint: "Check that the platform runs and that nothing on the way closes this port.",
    cause: error,
  });
}
