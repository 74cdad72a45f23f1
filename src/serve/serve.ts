import type { Environment, ServeConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { servePlatform } from "./platform.ts";
import type { Role } from "./roles.ts";
import type { StopSignals } from "./stop-signals.ts";
import { serveWorker } from "./worker.ts";

export interface ServeOptions {
  readonly config: ServeConfig;
  readonly roles: ReadonlySet<Role>;
  readonly clock: Clock;
  readonly signals: StopSignals;
  /** One line for whoever started it. */
  readonly say: (line: string) => void;
  /** Secrets are shown on a terminal only: elsewhere the line ends up in a file. */
  readonly isTerminal: boolean;
  readonly version: string;
  /** `main.ts` and the environment it was started with: the worker runs it too. */
  readonly program: string;
  readonly environment: Environment;
}

/** After a second Ctrl+C, as shells have it: 128 and the signal's number. */
const EXIT_FORCED = 130;

/** Runs the roles until a stop is asked for; gives the exit code. Throws what keeps it from starting. */
export async function serve(options: ServeOptions): Promise<number> {
  const { promise: forced, resolve } = Promise.withResolvers<number>();
  options.signals.forced.addEventListener("abort", () => resolve(EXIT_FORCED), { once: true });
  const onlyWorker = options.roles.size === 1 && options.roles.has("worker");
  const served = onlyWorker ? serveWorker(options) : servePlatform(options);
  return await Promise.race([served.then(() => 0), forced]);
}
