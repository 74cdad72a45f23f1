import { join } from "node:path";
import type { Connection } from "../postgres/connection.ts";
import { withSession } from "../postgres/connection.ts";
import type { Programs } from "../postgres/programs.ts";
import { prepareRuntimeFolder } from "./runtime-folder.ts";
import { startServer, type Waiting } from "./server.ts";
import { type ServerDefinition, superuserConnection } from "./server-definition.ts";
import { initServer } from "./server-init.ts";
import type { SupervisedServer } from "./supervisor.ts";
import type { ServiceUser } from "./service-user.ts";

export interface ControlServerPlace {
  readonly home: string;
  /** Of `runtimeFolder()`. */
  readonly runtimeFolder: string;
  readonly user: ServiceUser;
  readonly programs: Programs;
}

const CONTROL_DATABASE = "tidemark";
/** Only part of the socket's name: the folder is the server's own, so this port collides with nobody's. */
const SOCKET_PORT = 5432;

/** Small: the control database holds rows about backups, not the backups. */
const CONTROL_SETTINGS = {
  shared_buffers: "64MB",
  max_connections: "100",
  // The queue's and the scheduler's rows change all the time in small tables.
  autovacuum_naptime: "15s",
} as const;

/** The private server of the control database: in `$HOME/control`, on a socket only. */
export function controlServer({ home, runtimeFolder, user, programs }: ControlServerPlace): ServerDefinition {
  const folder = join(home, "control");
  return {
    name: "control",
    programs,
    user,
    folder,
    dataFolder: join(folder, "data"),
    socketFolder: join(runtimeFolder, "control"),
    port: SOCKET_PORT,
    listenAddresses: "",
    settings: CONTROL_SETTINGS,
    accessRules: [],
  };
}

/**
 * Makes the control database's server and database where they are absent, starts or adopts the server, and answers how
 * to connect. May be called again after any interruption. Errors as of `initServer()` and `startServer()`.
 */
export async function openControlServer(place: ControlServerPlace, waiting: Waiting): Promise<Connection> {
  const server = await prepareSockets(place);
  await initServer(server, waiting);
  await startServer(server, waiting);
  const session = { applicationName: "tidemark", ...(waiting.signal === undefined ? {} : { signal: waiting.signal }) };
  await withSession(superuserConnection(server), session, async (client) => {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [CONTROL_DATABASE]);
    if (rowCount === 0) await client.query(`create database ${CONTROL_DATABASE} template template0`);
  });
  return controlConnection(place);
}

/** How to connect to the control database, whether its server runs or not. */
export function controlConnection(place: ControlServerPlace): Connection {
  return superuserConnection(controlServer(place), CONTROL_DATABASE);
}

/** The control database's server as a `Supervisor` takes it into care. */
export function supervisedControlServer(place: ControlServerPlace): SupervisedServer {
  const server = controlServer(place);
  return { id: server.name, dataFolder: server.dataFolder, define: () => prepareSockets(place) };
}

async function prepareSockets(place: ControlServerPlace): Promise<ServerDefinition> {
  const server = controlServer(place);
  await prepareRuntimeFolder(place.runtimeFolder, place.user);
  await prepareRuntimeFolder(server.socketFolder, place.user);
  return server;
}
