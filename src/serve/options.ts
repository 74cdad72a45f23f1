import type { Environment, ServeConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Role } from "./roles.ts";
import type { StopSignals } from "./stop-signals.ts";

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
  /** Where the built dashboard lies, if it was built. */
  readonly dashboardFolder: string;
  /** `main.ts` and the environment it was started with: the worker runs it too. */
  readonly program: string;
  readonly environment: Environment;
}
