import type { Socket } from "node:net";
import ssh2, {
  type AcceptConnection,
  type AuthContext,
  type Connection,
  type RejectConnection,
  type ServerChannel,
  type Session,
  type TcpipRequestInfo,
} from "ssh2";
import type { TunnelCaller, TunnelService } from "../control/tunnel-service.ts";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { Place } from "./admission.ts";
import { connectTo, forward } from "./forward.ts";
import { answerLoginRequests } from "./login-request.ts";
import { isAcceptable, isSigned } from "./public-key.ts";

/** The only user name, as in the documentation of the original. */
const USER = "git";
/** What our own command line asks for to log in by key: the answer is a JWT, and the end. */
const LOGIN_SUBSYSTEM = "login@tidemark";
/** From the first byte to the login, key exchange included. */
const LOGIN_TIMEOUT_MS = 20_000;
/** Keys that a client may offer on one connection, and a few requests beside: agents hold several. */
const AUTH_REQUESTS_MAX = 24;
/** Tunnels of one connection, waiting ones included: a connection pool's worth. */
const TUNNELS_MAX = 64;
/** Tunnels opened in a minute on one connection: each is an entry of the audit log and a process of the server. */
const OPENS_PER_MINUTE_MAX = 600;
/** Destinations that may be refused on one connection: a slip needs one, somebody who tries ports needs many. */
const REFUSALS_MAX = 20;
/** Sessions of one connection: logging in needs one. */
const SESSIONS_MAX = 4;
/** A connection that carries nothing: people leave `ssh -N -L` open between two uses. */
const IDLE_TIMEOUT_MS = 30 * 60_000;
/** The same for the original's client, which opens one connection for each local connection and never closes it. */
const IDLE_TIMEOUT_AFTER_USE_MS = 10_000;
/** A client that is gone without a word is found in this time, three unanswered questions long. */
const KEEPALIVE_INTERVAL_MS = 15_000;
const KEEPALIVES_UNANSWERED_MAX = 3;
/** What may wait for a client to take it. A client gets there only by asking for answers that it never reads. */
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;
const MINUTE_MS = 60_000;

/** GCM first: it takes a third of the processor time of ChaCha20 here. No CBC, no SHA-1, no compression. */
const ALGORITHMS = {
  cipher: [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "chacha20-poly1305@openssh.com",
  ],
  hmac: ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
  kex: [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
  ],
  compress: ["none"],
} as const;

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly address: string;
  readonly place: Place;
  /** OpenSSH's format. */
  readonly hostKey: string;
  readonly tunnels: TunnelService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Shown to clients in the protocol's first line. */
  readonly version: string;
}

/** One client's SSH connection, from its first byte to its last. */
export class GatewayConnection {
  readonly #options: ConnectionOptions;
  readonly #logger: Logger;
  readonly #over = new AbortController();
  /** Databases of the tunnels that are open, each with what ends it. */
  readonly #tunnels = new Map<AbortController, AddonId>();
  #waitingTunnels = 0;
  #client: Connection | undefined;
  #caller: TunnelCaller | undefined;
  #leavesConnectionsOpen = false;
  #authRequests = 0;
  #refusals = 0;
  #sessions = 0;
  #opens = { count: 0, sinceMs: 0 };
  #wasUsed = false;
  #idleSinceMs: number;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ address: options.address });
    this.#idleSinceMs = options.clock.now().getTime();
    const { socket } = options;
    socket.setNoDelay(true);
    const unknownForLong = setTimeout(() => this.close("no login in time"), LOGIN_TIMEOUT_MS);
    this.#over.signal.addEventListener("abort", () => clearTimeout(unknownForLong));
    socket.on("error", () => undefined);
    socket.on("data", () => {
      if (socket.writableLength > UNSENT_BYTES_MAX) this.close("it doesn't read its answers");
    });
    socket.once("close", () => this.close("the client left"));
    this.#serve(() => clearTimeout(unknownForLong));
  }

  /** True once it has ended. */
  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Ends it and its tunnels at once. May be called twice. */
  close(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    for (const tunnel of this.#tunnels.keys()) tunnel.abort();
    this.#logger.info({ user: this.#caller?.principal.username, reason }, "SSH connection ended");
    this.#client?.end();
    this.#options.socket.destroySoon();
    this.#options.place.leave();
  }

  /** Cuts it, with whatever its client has not read yet. */
  destroy(): void {
    this.close("cut");
    this.#options.socket.destroy();
  }

  /** Ends what its user no longer may, and the connection when it has carried nothing for long. Rejects when the platform can't tell. */
  async review(): Promise<void> {
    if (this.#caller === undefined || this.isOver) return;
    if (this.#tunnels.size + this.#waitingTunnels === 0 && this.#idleMs() > this.#idleTimeoutMs()) {
      return this.close("idle");
    }
    const reachable = await this.#options.tunnels.review(this.#caller);
    if (reachable === undefined) return this.close("the key was removed");
    for (const [tunnel, addonId] of this.#tunnels) if (!reachable.has(addonId)) tunnel.abort();
  }

  /** A server of its own for each connection: its closures know their socket, which the library doesn't hand out. */
  #serve(onLogin: () => void): void {
    const { socket, hostKey, version } = this.#options;
    const server = new ssh2.Server(
      {
        hostKeys: [hostKey],
        ident: `Tidemark_${version}`,
        // The library's types want mutable lists; it doesn't change them.
        algorithms: structuredClone(ALGORITHMS) as unknown as ssh2.Algorithms,
        keepaliveInterval: KEEPALIVE_INTERVAL_MS,
        keepaliveCountMax: KEEPALIVES_UNANSWERED_MAX,
      },
      (client, info) => {
        this.#client = client;
        this.#leavesConnectionsOpen = info.header.versions.software === "Go";
        this.#attend(client, onLogin);
      },
    );
    server.injectSocket(socket);
  }

  #attend(client: Connection, onLogin: () => void): void {
    // Its message may hold what the client sent.
    client.on("error", () => this.close("not SSH, or a broken connection"));
    client.on("authentication", (context) => {
      this.#authenticate(context).catch((thrown: unknown) => {
        this.#logger.warn({ error: asTidemarkError(thrown).message }, "an SSH login can't be checked");
        this.close("the login can't be checked");
      });
    });
    client.on("ready", () => {
      onLogin();
      this.#logger.info({ user: this.#caller?.principal.username, key: this.#caller?.keyId }, "SSH login");
    });
    client.on("tcpip", (accept, reject, destination) => this.#tunnel(accept, reject, destination));
    client.on("session", (accept, reject) => this.#session(accept, reject));
    answerLoginRequests(client, {
      makeJwt: () => this.#makeJwt(),
      onFailure: (thrown) => this.#logger.warn({ error: asTidemarkError(thrown).message }, "a login by SSH failed"),
    });
  }

  async #authenticate(context: AuthContext): Promise<void> {
    this.#authRequests += 1;
    if (this.#authRequests > AUTH_REQUESTS_MAX) return this.close("too many keys");
    if (context.method !== "publickey" || context.username !== USER || !isAcceptable(context)) {
      return context.reject(["publickey"]);
    }
    const { tunnels, address, place } = this.#options;
    const caller = await tunnels.authenticate({ publicKey: context.key.data, address });
    if (this.isOver) return;
    if (caller === undefined || this.#caller !== undefined) return context.reject(["publickey"]);
    // Only asked whether this key would do.
    if (context.signature === undefined) return context.accept();
    if (!isSigned(context)) return context.reject(["publickey"]);
    if (!place.logIn(caller.principal.userId)) return this.close("too many connections of this user");
    this.#caller = caller;
    context.accept();
  }

  #tunnel(
    accept: AcceptConnection<ServerChannel>,
    reject: RejectConnection,
    { destIP: host, destPort: port }: TcpipRequestInfo,
  ): void {
    if (!this.#countOpening() || this.#tunnels.size + this.#waitingTunnels >= TUNNELS_MAX) return reject();
    this.#waitingTunnels += 1;
    this.#openTunnel(accept, { host, port })
      .catch((thrown: unknown) => this.#refuse(thrown, { accept, reject, host, port }))
      .finally(() => {
        this.#waitingTunnels -= 1;
        this.#noteUse();
      });
  }

  async #openTunnel(
    accept: AcceptConnection<ServerChannel>,
    destination: { host: string; port: number },
  ): Promise<void> {
    const { tunnels, socket: transport } = this.#options;
    if (this.#caller === undefined) return;
    const target = await tunnels.open(this.#caller, destination);
    const database = await connectTo(target, this.#over.signal);
    const end = new AbortController();
    this.#tunnels.set(end, target.addonId);
    const signal = AbortSignal.any([end.signal, this.#over.signal]);
    const onFlood = (): void => this.close("more data than it was allowed");
    const channel = accept();
    // Until its client has closed it too: a client that leaves channels open uses up its own allowance.
    channel.once("close", () => {
      this.#tunnels.delete(end);
      this.#noteUse();
    });
    void forward({ channel, database, transport, signal, onFlood });
  }

  #refuse(
    thrown: unknown,
    {
      accept,
      reject,
      host,
      port,
    }: { accept: AcceptConnection<ServerChannel>; reject: RejectConnection; host: string; port: number },
  ): void {
    if (this.isOver) return;
    const error = asTidemarkError(thrown);
    const facts = { user: this.#caller?.principal.username, code: error.code, host: host.slice(0, 255), port };
    this.#logger.info(facts, "a tunnel was refused");
    this.#refusals += 1;
    if (this.#refusals > REFUSALS_MAX) return this.close("too many refused destinations");
    // After a refusal the original's client leaves its local connection open, and psql waits for ever: it gets one that ends at once.
    if (this.#leavesConnectionsOpen) accept().end();
    else reject();
  }

  #session(accept: AcceptConnection<Session>, reject: RejectConnection): void {
    this.#sessions += 1;
    if (this.#sessions > SESSIONS_MAX) return reject();
    // Whatever is asked for on it but a login is refused: a shell, a command, files, an agent, a display.
    const session = accept();
    session.on("subsystem", (acceptIt, rejectIt, { name }) => {
      if (name !== LOGIN_SUBSYSTEM) return rejectIt();
      this.#makeJwt().then(
        (jwt) => acceptIt().end(jwt),
        () => rejectIt(),
      );
    });
  }

  async #makeJwt(): Promise<string> {
    if (this.#caller === undefined) throw new TidemarkError("unauthenticated", "This connection has not logged in");
    return await this.#options.tunnels.issueJwt(this.#caller);
  }

  /** False when this minute has had as many as it may. */
  #countOpening(): boolean {
    const nowMs = this.#options.clock.now().getTime();
    if (nowMs - this.#opens.sinceMs > MINUTE_MS) this.#opens = { count: 0, sinceMs: nowMs };
    this.#opens.count += 1;
    return this.#opens.count <= OPENS_PER_MINUTE_MAX;
  }

  #noteUse(): void {
    this.#wasUsed = true;
    this.#idleSinceMs = this.#options.clock.now().getTime();
  }

  #idleMs(): number {
    return this.#options.clock.now().getTime() - this.#idleSinceMs;
  }

  #idleTimeoutMs(): number {
    return this.#leavesConnectionsOpen && this.#wasUsed ? IDLE_TIMEOUT_AFTER_USE_MS : IDLE_TIMEOUT_MS;
  }
}
