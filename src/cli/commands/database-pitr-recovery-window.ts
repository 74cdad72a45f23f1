import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { recoveryWindowReply, type RecoveryBranch, type RecoveryHole } from "../replies.ts";
import { renderFacts } from "../table.ts";
import { route } from "../transport.ts";

export const databasePitrRecoveryWindow: CommandSpec = {
  name: "database-pitr-recovery-window",
  group: "Backups",
  summary: "Show which moments of a database can be restored",
  examples: ["--app my-app --addon postgresql database-pitr-recovery-window"],
  async run(call) {
    const { addonId, api } = await openDatabaseTarget(call);
    const { value, body } = await api.get(route`/api/databases/${addonId}/pitr/recovery_window`, recoveryWindowReply);
    const { earliest_recoverable_at: earliest, latest_recoverable_at: latest } = value.recovery_window;
    const { holes, branches, stream } = value.recovery_window;
    call.output.result(
      renderFacts([
        ["Earliest recoverable at", earliest ?? ""],
        ["Latest recoverable at", latest ?? ""],
        ...holes.map((hole): [string, string] => ["Not recoverable", describeHole(hole)]),
        // One alone is the window itself.
        ...(branches.length > 1 ? branches.map(describeBranch) : []),
        ["Write-ahead log", describeStream(stream)],
      ]),
    );
    call.output.json(body);
  },
};

function describeBranch(branch: RecoveryBranch): [string, string] {
  const { timeline, is_live: isLive, earliest_recoverable_at: earliest, latest_recoverable_at: latest } = branch;
  const name = `Branch ${timeline ?? "of another server"}${isLive === true ? ", live" : ""}`;
  return [name, earliest === null || latest === null ? "not recoverable" : `${earliest} to ${latest}`];
}

function describeHole({ from, to }: RecoveryHole): string {
  return `after ${from ?? "the beginning"}, until ${to ?? "the next base backup is done"}`;
}

function describeStream(stream: { readonly state: string; readonly reason: string | null } | null): string {
  if (stream === null) return "not streamed yet";
  return stream.reason === null ? stream.state : `${stream.state}: ${stream.reason}`;
}
