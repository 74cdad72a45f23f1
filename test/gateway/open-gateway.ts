import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import ssh2, { type Client, type ConnectConfig } from "ssh2";
import type { SshHostKey } from "../../src/control/ssh-host-key.ts";
import type { TunnelCaller, TunnelService, TunnelTarget } from "../../src/control/tunnel-service.ts";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { isAddonId, isObjectId } from "../../src/core/ids.ts";
import { type Gateway, startGateway } from "../../src/gateway/gateway.ts";
import { generateHostKey } from "../../src/gateway/host-key.ts";
import { quietLogger } from "../harness/quiet-logger.ts";
import type { CleanUp } from "../harness/temp-folder.ts";

/** The database's host and port, as its URI has them. Nothing of this name exists: the gateway must not look it up. */
export const DATABASE = { host: "my-app-4553.postgresql.example", port: 15_432 } as const;
/** What `issueJwt` gives. */
export const JWT = "jwt-of-alice";

export interface KeyPair {
  readonly privateKey: string;
  /** SSH's wire encoding. */
  readonly publicKey: Buffer;
}

export interface OpenGateway {
  readonly gateway: Gateway;
  readonly hostKey: SshHostKey;
  /** A key of alice, who may reach the database. */
  readonly key: KeyPair;
  /** What the gateway asked to open, in order. */
  readonly opened: readonly string[];
  /** Connections that the database has now. */
  readonly databaseConnections: ReadonlySet<Socket>;
  /** Alice's key is removed. */
  removeKey(): void;
  /** Alice loses her right to the database. */
  removeRight(): void;
  /** Adds a key of alice. */
  addKey(publicKey: Buffer): void;
  /** A client that has logged in with alice's key; ended with the test. */
  connect(config?: ConnectConfig): Promise<Client>;
}

/** A gateway for one user, alice, and one database: a server that answers as `onConnection` says, echoing by default. */
export async function openGateway(
  cleanUp: CleanUp,
  { clock = systemClock, onConnection = echo }: { clock?: Clock; onConnection?: (socket: Socket) => void } = {},
): Promise<OpenGateway> {
  const databaseConnections = new Set<Socket>();
  const database = createServer((socket) => {
    databaseConnections.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => databaseConnections.delete(socket));
    onConnection(socket);
  });
  const databasePort = await listen(database);
  const key = makeKey();
  const keys = [key.publicKey];
  const opened: string[] = [];
  const rights = { keyIsGone: false, mayReach: true };
  const tunnels = inMemoryTunnels({ keys, rights, opened, databasePort });
  const hostKey = generateHostKey();
  const gateway = await startGateway({
    tunnels,
    clock,
    logger: quietLogger,
    hostKey: hostKey.privateKey,
    bind: "127.0.0.1",
    port: 0,
    version: "0.1.0",
  });
  const clients = new Set<Client>();
  cleanUp.after(async () => {
    for (const client of clients) client.destroy();
    await gateway.close();
    for (const socket of databaseConnections) socket.destroy();
    database.close();
    await once(database, "close");
  });
  return {
    gateway,
    hostKey,
    key,
    opened,
    databaseConnections,
    removeKey: () => (rights.keyIsGone = true),
    removeRight: () => (rights.mayReach = false),
    addKey: (publicKey) => keys.push(publicKey),
    async connect(config = {}) {
      const client = new ssh2.Client();
      clients.add(client);
      const ready = once(client, "ready");
      client.on("error", () => undefined);
      client.connect({
        host: "127.0.0.1",
        port: gateway.port,
        username: "git",
        privateKey: key.privateKey,
        readyTimeout: 60_000,
        ...config,
      });
      await ready;
      return client;
    },
  };
}

function inMemoryTunnels({
  keys,
  rights,
  opened,
  databasePort,
}: {
  keys: readonly Buffer[];
  rights: { readonly keyIsGone: boolean; readonly mayReach: boolean };
  opened: string[];
  databasePort: number;
}): TunnelService {
  return {
    authenticate: async ({ publicKey, address }) =>
      keys.some((each) => each.equals(publicKey))
        ? { ...ALICE, principal: { ...ALICE.principal, address } }
        : undefined,
    async open(_caller, { host, port }) {
      opened.push(`${host}:${port}`);
      if (host !== DATABASE.host || port !== DATABASE.port || !rights.mayReach)
        throw new TidemarkError("not_found", "You have no database at this address");
      return { ...TARGET, host: "127.0.0.1", port: databasePort };
    },
    async review() {
      if (rights.keyIsGone) return undefined;
      return new Set(rights.mayReach ? [TARGET.addonId] : []);
    },
    issueJwt: async () => JWT,
  };
}

/** A new Ed25519 key pair. */
export function makeKey(): KeyPair {
  const { privateKey, publicKey } = generateHostKey();
  return { privateKey, publicKey: Buffer.from(publicKey.split(" ")[1] ?? "", "base64") };
}

function echo(socket: Socket): void {
  socket.pipe(socket);
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address of this kind.
  return (server.address() as AddressInfo).port;
}

const ALICE: TunnelCaller = {
  principal: {
    userId: idOf("0193512a0000cccccccccccc", isObjectId),
    username: "alice",
    email: "alice@example.com",
    isPlatformOwner: false,
    apiTokenId: null,
    loginEpoch: 0,
  },
  keyId: "k1",
  keyName: "laptop",
};

const TARGET: Pick<TunnelTarget, "addonId" | "resourceId"> = {
  addonId: idOf("ad-0f5c9a3e-2f6d-4a55-9c1b-3f1f5b8f6a01", isAddonId),
  resourceId: "my_app_4553",
};

function idOf<Id extends string>(text: string, isId: (text: string) => text is Id): Id {
  if (!isId(text)) throw new Error(`"${text}" is no id`);
  return text;
}
