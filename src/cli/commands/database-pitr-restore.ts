import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { type DatabaseTarget, openDatabaseTarget } from "../database-target.ts";
import { restoreToNewAddon } from "../addon-copy-restore.ts";
import { operationReply, type PointInTimePlan } from "../point-in-time-replies.ts";
import { showPointInTimeEnd, showPointInTimePlan } from "../point-in-time-text.ts";
import { waitForOperation } from "../point-in-time-wait.ts";
import { route } from "../transport.ts";

export const databasePitrRestore: CommandSpec = {
  name: "database-pitr-restore",
  group: "Backups",
  summary: "Restore a database in place to a moment of its recovery window, and wait for the end",
  details:
    "The database as it was is built beside the live one, which goes on meanwhile; then it takes its place, which is all that the database is away for. What was there is " +
    "kept for a while: database-pitr-undo puts it back. A time is looked for on the branch that was the database's then. Ctrl+C ends the waiting, not the restore.",
  arguments: [
    {
      name: "<moment>",
      summary:
        'A time with its zone (2026-11-22T14:02:33Z, "2026-11-22 15:02 Europe/Paris"), latest, a position, a transaction, or a restore point\'s name',
    },
  ],
  options: [
    { flags: "--branch <timeline>", summary: "Along this branch: database-pitr-recovery-window lists them" },
    { flags: "--exclusive", summary: "Leave out what lies exactly there" },
    { flags: "--inclusive", summary: "Take what lies exactly there along (the default)" },
    { flags: "--to-new-addon <name>", summary: "Make a new database of the app instead; this one goes on untouched" },
    { flags: "--dry-run", summary: "Tell what would be done, and do nothing" },
    { flags: "--yes", summary: "Don't ask" },
    { flags: "--detach", summary: "Start it and don't wait" },
  ],
  examples: [
    "--app my-app --addon postgresql database-pitr-restore 2026-11-22T14:02:33Z --dry-run",
    '--app my-app --addon postgresql database-pitr-restore "2026-11-22 15:02 Europe/Paris"',
    "--app my-app --addon postgresql database-pitr-restore 0/16B3748 --branch 1 --yes",
    "--app my-app --addon postgresql database-pitr-restore latest --to-new-addon staging",
  ],
  async run(call) {
    const wish = readWish(call);
    const target = await openDatabaseTarget(call);
    const plan = await askForPlan(call, target, wish);
    if (plan === undefined) return;
    const name = call.option("to-new-addon");
    if (name !== undefined) {
      const { restore_time: moment, exclusive, branch } = wish;
      return await restoreToNewAddon(call, target, { name, moment, exclusive, branch });
    }
    if (!call.flag("yes")) await confirm(call, plan);
    const begun = await target.api.post(route`/api/databases/${target.addonId}/pitr/restore`, wish, operationReply);
    const { id } = begun.value.operation;
    call.output.status(`Database restore operation ${id} has been created`);
    if (call.flag("detach")) return call.output.json(begun.body);
    const ended = await waitForOperation(call, target, id);
    call.output.json(ended.body);
    call.output.status(`The database has been restored to ${wish.restore_time}`);
    showPointInTimeEnd(call.output, ended.value.operation);
  },
};

interface Wish {
  readonly restore_time: string;
  readonly exclusive: boolean;
  readonly branch: number | null;
}

function readWish(call: CommandCall): Wish {
  if (call.flag("exclusive") && call.flag("inclusive"))
    throw new TidemarkError("usage", "Only one of --exclusive and --inclusive can be meant");
  const branch = call.option("branch");
  if (branch !== undefined && !/^\d{1,9}$/.test(branch))
    throw new TidemarkError("usage", `"${branch}" is no branch: branches are numbers`, {
      hint: "database-pitr-recovery-window lists them.",
    });
  return {
    restore_time: call.argument(0),
    exclusive: call.flag("exclusive"),
    branch: branch === undefined ? null : Number(branch),
  };
}

/** Undefined when the plan was all that was asked for. */
async function askForPlan(call: CommandCall, target: DatabaseTarget, wish: Wish): Promise<PointInTimePlan | undefined> {
  const begun = await target.api.post(route`/api/databases/${target.addonId}/pitr/plan`, wish, operationReply);
  const { value, body } = await waitForOperation(call, target, begun.value.operation.id);
  const { plan } = value.operation;
  if (plan === null) throw new TidemarkError("reply_unreadable", "The platform made a plan and doesn't tell it");
  showPointInTimePlan(call.output, target.reference, plan);
  if (!call.flag("dry-run")) return plan;
  call.output.json(body);
  return undefined;
}

async function confirm(call: CommandCall, { undo_hours: hours }: PointInTimePlan): Promise<void> {
  const undo = hours === 0 ? "and can't be undone" : `and can be undone for ${hours} hours`;
  call.output.info(`/!\\  This operation replaces the database's current data, ${undo}`);
  const typed = await call.prompt.confirm("       Do you want to confirm? (y/n) ", { insteadOf: "--yes" });
  if (typed.trim() !== "y" && typed.trim() !== "Y") throw new TidemarkError("cancelled", "nothing was restored");
}
