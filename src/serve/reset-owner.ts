import { type Environment, readServeConfig } from "../config.ts";
import { controlFailure } from "../control/control-failure.ts";
import { openControlDatabase } from "../control/database.ts";
import { resetOwnerPassword } from "../control/users.ts";
import { randomText } from "../core/random.ts";
import { findServiceUser } from "../instances/service-user.ts";
import { homePaths } from "./home.ts";
import { openLog } from "./log.ts";
import { OWNER_PASSWORD_CHARACTERS } from "./logins.ts";
import { findMachine } from "./machine.ts";

/**
 * Gives the platform's owner a new random password, straight in the control database: for whoever may read the home. The platform must be
 * running (`control_unavailable`), unless its control database is an operator's own.
 */
export async function resetOwner({
  environment,
}: {
  environment: Environment;
}): Promise<{ username: string; password: string }> {
  const config = readServeConfig(environment);
  const machine = await findMachine(config, await findServiceUser());
  const log = await openLog(homePaths(config.home).log, { name: "command", level: config.logLevel });
  const database = openControlDatabase(machine.controlConnection, log.logger);
  try {
    const password = randomText(OWNER_PASSWORD_CHARACTERS);
    return { username: await resetOwnerPassword(database, password), password };
  } catch (error) {
    throw controlFailure(error);
  } finally {
    await database.close();
    log.close();
  }
}
