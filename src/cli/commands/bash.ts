import type { CommandSpec } from "../command.ts";
import { ONE_OFF_OPTIONS, runAttached } from "../one-off-run.ts";

export const bash: CommandSpec = {
  name: "bash",
  group: "Apps",
  summary: "Open a shell in a one-off container",
  details: "The same as `run bash`.",
  options: ONE_OFF_OPTIONS,
  examples: ["--app my-app bash"],
  run: (call) => runAttached(call, { command: "bash" }),
};
