import type { CommandSpec } from "../command.ts";
import { findCandidates } from "../completion-candidates.ts";
import { completeWords } from "../completion.ts";
import { printable } from "../output.ts";

export const complete: CommandSpec = {
  name: "complete",
  group: "Platform",
  summary: "Print how a command line can go on; for the scripts that `completion` prints",
  arguments: [{ name: "[words...]", summary: "What was typed, behind `--`; the last one is completed" }],
  examples: ["complete -- --app my-app back"],
  async run(call) {
    const words = call.argumentList(0);
    const candidates = await findCandidates(call, words);
    for (const line of completeWords(call.program, { words, candidates })) call.output.result(printable(line));
  },
};
