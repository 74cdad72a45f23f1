import type { ServeConfig } from "../config.ts";
import type { ControlConnection } from "../control/database.ts";
import { type ControlServerPlace, controlConnection } from "../instances/control-server.ts";
import { runtimeFolder } from "../instances/runtime-folder.ts";
import type { ServiceUser } from "../instances/service-user.ts";
import { choosePrograms, findPrograms, type Programs } from "../postgres/programs.ts";

/** What this machine has: the same for the platform and for its worker. */
export interface Machine {
  readonly user: ServiceUser;
  /** Newest first. */
  readonly installed: readonly Programs[];
  /** For the sockets of this home. */
  readonly runtimeFolder: string;
  readonly controlServer: ControlServerPlace;
  readonly controlConnection: ControlConnection;
}

/** Finds programs and folders; makes nothing. `programs_missing` when no PostgreSQL is installed. */
export async function findMachine(config: ServeConfig, user: ServiceUser): Promise<Machine> {
  const installed = await findPrograms({
    path: config.path,
    ...(config.postgresqlBin === null ? {} : { namedFolder: config.postgresqlBin }),
  });
  const sockets = runtimeFolder({
    home: config.home,
    uid: user.isSwitchedFromRoot ? 0 : user.uid,
    ...(config.userRuntimeFolder === null ? {} : { xdgRuntimeFolder: config.userRuntimeFolder }),
  });
  const controlServer = { home: config.home, runtimeFolder: sockets, user, programs: choosePrograms(installed) };
  return {
    user,
    installed,
    runtimeFolder: sockets,
    controlServer,
    controlConnection:
      config.controlDatabaseUrl === null
        ? controlConnection(controlServer)
        : { connectionString: config.controlDatabaseUrl },
  };
}
