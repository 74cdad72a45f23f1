import type { ServeConfig } from "../config.ts";
import type { ControlConnection } from "../control/database.ts";
import { type ControlServerPlace, controlConnection } from "../instances/control-server.ts";
import { runtimeFolder } from "../instances/runtime-folder.ts";
import type { ServiceUser } from "../instances/service-user.ts";
import type { PlanCatalogue } from "../policy/plans.ts";
import { choosePrograms, findPrograms, type Programs } from "../postgres/programs.ts";
import { readPlanCatalogue } from "./plans-file.ts";

/** What this machine has: the same for the platform and for its worker. */
export interface Machine {
  readonly user: ServiceUser;
  /** Newest first. */
  readonly installed: readonly Programs[];
  /** For the sockets of this home. */
  readonly runtimeFolder: string;
  readonly controlServer: ControlServerPlace;
  readonly controlConnection: ControlConnection;
  /** What it offers: ours, and its operator's own. */
  readonly plans: PlanCatalogue;
}

/**
 * Finds programs, folders and plans; makes nothing. `programs_missing` when no PostgreSQL is installed, `config_invalid` for a file of plans that can't be
 * used.
 */
export async function findMachine(config: ServeConfig, user: ServiceUser): Promise<Machine> {
  const plans = await readPlanCatalogue(config.plansFile);
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
    plans,
  };
}
