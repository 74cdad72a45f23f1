import { join } from "node:path";
import { type Environment, readServeConfig } from "../config.ts";
import { type RebuildReport, rebuildCatalogue } from "../control/catalogue-rebuild.ts";
import { controlFailure } from "../control/control-failure.ts";
import type { Clock } from "../core/clock.ts";
import { readDataFolderPointer } from "../instances/data-folders.ts";
import { dataMajor } from "../instances/server-init.ts";
import { findServiceUser } from "../instances/service-user.ts";
import { homePaths, openHome } from "./home.ts";
import { openLog } from "./log.ts";
import { findMachine } from "./machine.ts";
import { openControl } from "./open-control.ts";
import { openPlatformRepository, openSecrets } from "./safekeeping.ts";

/**
 * Makes the platform's index of backups from its repository, for whoever may read the home. The platform must be running
 * (`control_unavailable`), unless its control database is an operator's own.
 */
export async function rebuildIndex({
  environment,
  clock,
  signal,
}: {
  environment: Environment;
  clock: Clock;
  signal: AbortSignal;
}): Promise<RebuildReport> {
  const config = readServeConfig(environment);
  const user = await findServiceUser();
  const machine = await findMachine(config, user);
  await using stack = new AsyncDisposableStack();
  const home = await openHome(config.home, { forOthers: user.isSwitchedFromRoot });
  const log = await openLog(homePaths(home.folder).log, { name: "command", level: config.logLevel });
  stack.defer(() => log.close());
  const secrets = await openSecrets(config, clock);
  const repository = await openPlatformRepository(config, clock);
  try {
    const context = await openControl(stack, { config, clock, logger: log.logger, home, machine, secrets });
    const findData = async (databaseId: string) => {
      const databaseFolder = join(home.folder, "databases", databaseId);
      const folder = await readDataFolderPointer(databaseFolder);
      const major = await dataMajor(join(databaseFolder, folder));
      return major === undefined ? undefined : { major, folder };
    };
    return await rebuildCatalogue(context, { repository, findData }, signal);
  } catch (error) {
    throw controlFailure(error);
  }
}
