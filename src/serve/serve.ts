import { readServeConfig } from "../config.ts";
import type { ServeOptions } from "./options.ts";
import { servePlatform } from "./platform.ts";
import { readRoles } from "./roles.ts";
import { listenForStop } from "./stop-signals.ts";
import { serveWorker } from "./worker.ts";
import { giveLifeSigns } from "./worker-process.ts";

/** After a second Ctrl+C, as shells have it: 128 and the signal's number. */
const EXIT_FORCED = 130;

/** What `main` knows of a start; the settings are read from the environment. */
export interface StartOptions extends Pick<
  ServeOptions,
  "clock" | "say" | "isTerminal" | "version" | "dashboardFolder" | "program" | "environment"
> {
  /** As typed after `--roles`; undefined for all. */
  readonly roles: string | undefined;
  /** Its signals and its channel to a parent end the service. */
  readonly process: NodeJS.Process;
}

/** Reads settings and roles, then serves until a stop is asked for; gives the exit code. Throws what keeps it from starting. */
export async function startServe({ roles, process, ...options }: StartOptions): Promise<number> {
  giveLifeSigns(process);
  return await serve({
    ...options,
    config: readServeConfig(options.environment),
    roles: readRoles(roles),
    signals: listenForStop(process, options.clock),
  });
}

async function serve(options: ServeOptions): Promise<number> {
  const { promise: forced, resolve } = Promise.withResolvers<number>();
  options.signals.forced.addEventListener("abort", () => resolve(EXIT_FORCED), { once: true });
  const onlyWorker = options.roles.size === 1 && options.roles.has("worker");
  const served = onlyWorker ? serveWorker(options) : servePlatform(options);
  return await Promise.race([served.then(() => 0), forced]);
}
