import { RootCommand } from "@bomb.sh/tab";
import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";

const SHELLS: ReadonlySet<string> = new Set(["bash", "zsh", "fish"]);

export const completion: CommandSpec = {
  name: "completion",
  group: "Platform",
  summary: "Print the script that lets a shell complete command lines",
  details:
    "Completes commands, options, and the names of your apps, databases and backups. The script calls `tidemark`: have it in your PATH, or make an alias of " +
    "that name. bash needs its package bash-completion.",
  arguments: [{ name: "<shell>", summary: "bash, zsh or fish" }],
  examples: ["completion bash", "completion zsh", "completion fish"],
  async run(call) {
    const shell = call.argument(0);
    if (!SHELLS.has(shell)) {
      throw new TidemarkError("usage", `There is no completion for "${shell}"`, {
        hint: "It must be bash, zsh or fish.",
      });
    }
    // The library prints the script itself.
    new RootCommand().setup("tidemark", "tidemark", shell);
  },
};
