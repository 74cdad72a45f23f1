import { isIP } from "node:net";
import { dirname, join } from "node:path";
import type { ServeConfig } from "../config.ts";
import { createAppService } from "../control/apps.ts";
import type { ControlContext } from "../control/context.ts";
import { OneOffs } from "../control/one-offs.ts";
import type { Destination } from "../oneoffs/sandbox.ts";
import { openSandboxHost } from "../oneoffs/sandbox-host.ts";
import type { Home } from "./home.ts";
import type { Machine } from "./machine.ts";

/** Below it only root may listen, inside a sandbox too; there, the API is found so much higher. */
const FIRST_FREE_PORT = 1024;
const LOW_PORT_OFFSET = 8000;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };
const ANY_ADDRESS: Readonly<Record<string, string>> = { "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Makes this process the one that runs one-off containers. Works, up to the first that is asked for, where the machine can't run any. */
export async function openOneOffs(
  context: ControlContext,
  { config, home, machine, program }: { config: ServeConfig; home: Home; machine: Machine; program: string },
): Promise<OneOffs> {
  const host = await openSandboxHost({
    user: machine.user,
    workFolder: join(home.folder, "one-offs"),
    socketFolder: machine.runtimeFolder,
    // `src/main.ts` is what was started.
    programFolder: dirname(dirname(program)),
    runtime: process.execPath,
    installed: machine.installed,
    clock: context.clock,
    logger: context.logger,
  });
  const publicUrl = new URL(config.publicUrl);
  const api = apiDestination(config, publicUrl);
  return await OneOffs.open(context, {
    host,
    apps: createAppService(context),
    databaseAddress: ANY_ADDRESS[config.databaseBind] ?? config.databaseBind,
    api,
    apiUrl: `${publicUrl.protocol}//${publicUrl.hostname}:${api.port}`,
    attachUrl: attachAddress(publicUrl),
  });
}

/** Scheme, host and port of the platform's public address. The port is always said, also the scheme's own: clients dial what they read. */
export function attachAddress(publicUrl: URL): string {
  return `${publicUrl.protocol}//${publicUrl.hostname}:${portOf(publicUrl)}`;
}

/** By the public address, so that certificates fit; to this process itself where that is what answers there, through the proxy where one does. */
function apiDestination(config: ServeConfig, publicUrl: URL): Destination {
  const port = portOf(publicUrl);
  const isOurs = (publicUrl.protocol === "https:") === (config.tls !== null);
  const hostName = publicUrl.hostname.replaceAll(/[[\]]/g, "");
  return {
    hostName: isIP(hostName) === 0 ? hostName : "localhost",
    port: port < FIRST_FREE_PORT ? port + LOW_PORT_OFFSET : port,
    target: isOurs
      ? { host: ANY_ADDRESS[config.bind] ?? config.bind, port: config.httpPort }
      : { host: hostName, port },
  };
}

function portOf({ port, protocol }: URL): number {
  return port === "" ? (DEFAULT_PORTS[protocol] ?? 0) : Number(port);
}
