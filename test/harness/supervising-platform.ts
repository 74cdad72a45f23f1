/**
 * Stands for a platform that a test kills: supervises the server whose definition (JSON) is its one argument, prints
 * its process id once it runs, and lives on.
 */
import { systemClock } from "../../src/core/clock.ts";
import type { ServerDefinition } from "../../src/instances/server-definition.ts";
import { Supervisor } from "../../src/instances/supervisor.ts";
import { silentLogger } from "./recorded-log.ts";

// Written by the test that started this process, from a value of this type.
const definition = JSON.parse(process.argv[2] ?? "") as ServerDefinition;
const supervisor = new Supervisor({ clock: systemClock, logger: silentLogger });
const { pid, reason } = await supervisor.supervise({
  id: definition.name,
  dataFolder: definition.dataFolder,
  define: () => Promise.resolve(definition),
});
process.stdout.write(`${pid ?? reason}\n`);
setInterval(() => undefined, 60_000);
