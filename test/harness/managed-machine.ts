import { readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { openAuthority } from "../../src/instances/authority.ts";
import type { ManagedHost } from "../../src/instances/managed-database.ts";
import { prepareRuntimeFolder } from "../../src/instances/runtime-folder.ts";
import { stopServer } from "../../src/instances/server.ts";
import type { ServerDefinition } from "../../src/instances/server-definition.ts";
import { findServiceUser } from "../../src/instances/service-user.ts";
import { choosePrograms, findPrograms } from "../../src/postgres/programs.ts";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

/**
 * What a test sets up servers with: a home of its own, whose servers are stopped and whose files are removed at the
 * test's end.
 */
export async function makeManagedMachine(cleanUp: CleanUp): Promise<ManagedHost> {
  const made: { home?: string } = {};
  // Registered first, since clean-ups run in order: servers stop before their folders go.
  cleanUp.after(async () => {
    if (made.home !== undefined) await stopServersBelow(made.home);
  });
  const home = await makeTempFolder(cleanUp);
  made.home = home;
  const user = await findServiceUser();
  const runtimeFolder = join(home, "run");
  await prepareRuntimeFolder(runtimeFolder, user);
  return {
    home,
    runtimeFolder,
    user,
    installed: await findPrograms({ path: process.env.PATH ?? "" }),
    bind: "127.0.0.1",
    authority: await openAuthority({ folder: join(home, "authority"), now: new Date() }),
    clock: systemClock,
  };
}

/** A plain small server on that machine, on its socket only. */
export function smallServer(machine: ManagedHost, change: Partial<ServerDefinition> = {}): ServerDefinition {
  const folder = join(machine.home, "servers", change.name ?? "small");
  return {
    name: "small",
    programs: choosePrograms(machine.installed),
    user: machine.user,
    folder,
    dataFolder: join(folder, "data"),
    socketFolder: machine.runtimeFolder,
    port: 5432,
    listenAddresses: "",
    settings: { shared_buffers: "16MB", fsync: "off" },
    accessRules: [],
    ...change,
  };
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("the probe has no port");
  return address.port;
}

async function stopServersBelow(home: string): Promise<void> {
  const names = await readdir(home, { recursive: true });
  const dataFolders = names.filter((name) => name.endsWith("/PG_VERSION") && !name.includes("/base/"));
  await Promise.all(
    dataFolders.map(async (name) => {
      const dataFolder = join(home, name, "..");
      await stopServer({ dataFolder }, { clock: systemClock, fastTimeoutMs: 5_000 });
    }),
  );
}
