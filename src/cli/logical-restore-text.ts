import type { CommandCall } from "./command.ts";
import type { LogicalRestore } from "./replies.ts";

/** Tells what became of a restore: every object that isn't as it is in the dump, with the reason, then the numbers. */
export function showLogicalRestore({ output }: CommandCall, restore: LogicalRestore): void {
  for (const { object, outcome, reason } of restore.objects ?? []) {
    if (outcome === "restored") continue;
    output.warning(`${object}: ${outcome}`);
    for (const line of reason?.split("\n") ?? []) output.info(line);
  }
  const { counts } = restore;
  if (counts === null) return;
  const numbers = [
    `${counts.restored} restored`,
    ...(counts.kept === 0 ? [] : [`${counts.kept} kept`]),
    ...(counts.failed === 0 ? [] : [`${counts.failed} failed`]),
    ...(counts.unknown === 0 ? [] : [`${counts.unknown} unknown`]),
  ];
  output.status(`Objects: ${numbers.join(", ")}`);
}
