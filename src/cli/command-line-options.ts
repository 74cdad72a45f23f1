import type { Clock } from "../core/clock.ts";
import type { LocalCommands } from "./command.ts";
import type { Environment } from "./settings.ts";
import type { CommandLineStreams } from "./streams.ts";

/** Everything that the command line takes from the process that it runs in. */
export interface CommandLineOptions {
  /** Arguments alone, without runtime and script. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly streams: CommandLineStreams;
  readonly clock: Clock;
  readonly version: string;
  /** The user's own folder. */
  readonly userHome: string;
  /** Home of this user's platform when `TIDEMARK_HOME` doesn't say. */
  readonly defaultHome: string;
  /** Names this machine in the token that `login` makes. */
  readonly hostName: string;
  /** Of this process: programs that it leaves running can tell whether it is still there. */
  readonly processId: number;
  /** Calls the listener at each Ctrl+C until the returned function is called. Never used for `serve`, which has signals of its own. */
  readonly onInterrupt: (listener: () => void) => () => void;
  readonly local: LocalCommands;
}
