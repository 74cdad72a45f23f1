import { TidemarkError } from "../../core/errors.ts";
import { resolveAddonId } from "../addon-reference.ts";
import type { ApiClient } from "../client.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import { addonReply, newAddonReply, type PlanChange, planChangeReply } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";
import { findPlan } from "./addons-add.ts";

const POLL_INTERVAL_MS = 1000;
/** A restart takes seconds; a server that isn't back by then has a problem that waiting doesn't solve. */
const CHANGE_WAIT_MAX_MS = 5 * 60_000;
const OUTCOMES = { goes: "goes", kept_longer: "kept longer", kept_shorter: "kept shorter" } as const;

export const addonsUpgrade: CommandSpec = {
  name: "addons-upgrade",
  group: "Databases",
  summary: "Change a database's plan, up or down",
  details:
    "Says first what it changes for memory and backups. Asks when backups will be removed. The new plan counts once the server has taken it up.",
  arguments: [
    { name: "<addon>", summary: "postgresql, resource id or id" },
    { name: "<plan>", summary: "As `addons-plans` lists it" },
  ],
  options: [
    { flags: "--wait", summary: "Wait until the server has taken it up" },
    { flags: "--yes", summary: "Don't ask" },
  ],
  examples: ["--app my-app addons-upgrade postgresql postgresql-business-1024"],
  async run(call) {
    const app = call.app();
    const client = await call.connect();
    const addonId = await resolveAddonId(client, { app, reference: call.argument(0) });
    const { addon } = (await client.get(route`/v1/apps/${app}/addons/${addonId}`, addonReply)).value;
    const planId = await findPlan(client, { provider: addon.addon_provider.id, plan: call.argument(1) });
    const asked = await client.get(
      route`/v1/apps/${app}/addons/${addonId}/plan_change` + `?${new URLSearchParams({ plan: planId }).toString()}`,
      planChangeReply,
    );
    const change = asked.value.plan_change;
    await showChange(call, change);
    if (change.backups.some(({ outcome }) => outcome === "goes") && !call.flag("yes")) await confirmLoss(call);
    const begun = await client.patch(
      route`/v1/apps/${app}/addons/${addonId}`,
      { addon: { plan_id: planId } },
      newAddonReply,
    );
    if (call.flag("wait")) await waitForPlan(call, client, { app, addonId, planName: change.to.name });
    call.output.status(`Addon ${addonId} has been upgraded`);
    if (begun.value.message !== null) call.output.info(`Message from addon provider: ${begun.value.message}`);
    call.output.json(begun.body);
  },
};

async function showChange(call: CommandCall, { from, to, restarts, backups }: PlanChange): Promise<void> {
  const { output } = call;
  output.status(`${from.display_name} becomes ${to.display_name}`);
  const memory = from.memory_mb === to.memory_mb ? "stays" : `was ${from.memory_mb} MB`;
  output.info(`Memory: ${to.memory_mb} MB (${memory})`);
  const window = from.recovery_window_days === to.recovery_window_days ? "stays" : `was ${from.recovery_window_days}`;
  output.info(`Recovery window: ${to.recovery_window_days} days (${window})`);
  if (restarts) output.warning("The database restarts: connections are cut, and it is back in a moment");
  if (to.recovery_window_days < from.recovery_window_days)
    output.warning(`Moments more than ${to.recovery_window_days} days ago can't be restored any more`);
  if (backups.length === 0) return output.info("Backups: each is kept as before");
  const zone = await call.timeZone();
  const rows = backups.map((backup) => [
    backup.id,
    formatDate(backup.created_at, zone),
    formatSizeSi(backup.size ?? 0),
    backup.method,
    OUTCOMES[backup.outcome],
    backup.reason,
  ]);
  output.result(renderTable(["ID", "Created At", "Size", "Method", "Outcome", "Because"], rows));
}

async function confirmLoss(call: CommandCall): Promise<void> {
  const question = "  /!\\  The backups that go can't be brought back. Change the plan? (y/N) ";
  const typed = (await call.prompt.confirm(question, { insteadOf: "--yes" })).trim().toLowerCase();
  if (typed !== "y" && typed !== "yes") throw new TidemarkError("cancelled", "the plan is as before");
}

async function waitForPlan(
  call: CommandCall,
  client: ApiClient,
  { app, addonId, planName }: { app: string; addonId: string; planName: string },
): Promise<void> {
  const deadlineMs = call.clock.now().getTime() + CHANGE_WAIT_MAX_MS;
  try {
    for (;;) {
      const { addon } = (await client.get(route`/v1/apps/${app}/addons/${addonId}`, addonReply)).value;
      if (addon.plan.name === planName) return;
      if (addon.next_plan === null) {
        throw new TidemarkError("conflict", `The plan was not changed: it is still ${addon.plan.name}`, {
          hint: "The platform's log says why; the server's own is shown by: tidemark logs",
        });
      }
      if (call.clock.now().getTime() >= deadlineMs) {
        throw new TidemarkError(
          "server_not_running",
          `The plan is still not changed after ${CHANGE_WAIT_MAX_MS / 60_000} minutes`,
          { hint: "See why with: tidemark status" },
        );
      }
      call.output.transient("Waiting for the server to take up its plan");
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } finally {
    call.output.transient("");
  }
}
