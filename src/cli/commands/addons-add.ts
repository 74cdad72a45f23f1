import { TidemarkError } from "../../core/errors.ts";
import { canonicalProvider } from "../addon-reference.ts";
import type { ApiClient } from "../client.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { addonReply, newAddonReply, plansReply } from "../replies.ts";
import type { Addon } from "../replies.ts";
import { route } from "../transport.ts";
import type { Reply } from "../transport.ts";

const POLL_INTERVAL_MS = 1000;
/** A new server takes seconds; a machine on which it takes longer than this has a problem that waiting doesn't solve. */
const PROVISIONING_WAIT_MAX_MS = 5 * 60_000;

export const addonsAdd: CommandSpec = {
  name: "addons-add",
  group: "Databases",
  summary: "Give an app a database",
  arguments: [
    { name: "<provider>", summary: "postgresql" },
    { name: "<plan>", summary: "As `addons-plans` lists it" },
  ],
  options: [{ flags: "--wait", summary: "Wait until it runs" }],
  examples: [
    "--app my-app addons-add postgresql postgresql-starter-512",
    "--app my-app addons-add postgresql postgresql-starter-512 --wait",
  ],
  async run(call) {
    const app = call.app();
    const provider = canonicalProvider(call.argument(0));
    const client = await call.connect();
    const planId = await findPlan(client, { provider, plan: call.argument(1) });
    const created = await client.post(
      route`/v1/apps/${app}/addons`,
      { addon: { addon_provider_id: provider, plan_id: planId, options: null } },
      newAddonReply,
    );
    const { addon, message, variables } = created.value;
    const ready = call.flag("wait") ? await waitUntilRunning(call, client, { app, addonId: addon.id }) : undefined;
    call.output.status(`Addon ${call.argument(0)} has been provisionned`);
    call.output.info(`ID: ${addon.resource_id}`);
    if (variables !== null && variables.length > 0) call.output.info(`Modified variables: [${variables.join(" ")}]`);
    if (message !== null && message !== "") call.output.info(`Message from addon provider: ${message}`);
    call.output.json(ready?.body ?? created.body);
  },
};

/** A plan's id by its name or id; `not_found` when the provider has none of this name. */
export async function findPlan(
  client: ApiClient,
  { provider, plan }: { provider: string; plan: string },
): Promise<string> {
  const { plans } = (await client.get(route`/v1/addon_providers/${provider}/plans`, plansReply)).value;
  const found = plans.find(({ name, id }) => name === plan || id === plan);
  if (found !== undefined) return found.id;
  throw new TidemarkError("not_found", `find plan: no plan ${plan} found for addon ${provider}`, {
    hint: `See the plans with: tidemark addons-plans ${provider}`,
  });
}

async function waitUntilRunning(
  call: CommandCall,
  client: ApiClient,
  { app, addonId }: { app: string; addonId: string },
): Promise<Reply<{ addon: Addon }>> {
  const deadlineMs = call.clock.now().getTime() + PROVISIONING_WAIT_MAX_MS;
  try {
    for (;;) {
      const reply = await client.get(route`/v1/apps/${app}/addons/${addonId}`, addonReply);
      if (reply.value.addon.status !== "provisioning") return reply;
      if (call.clock.now().getTime() >= deadlineMs) {
        throw new TidemarkError(
          "server_not_running",
          `The database is still not running after ${PROVISIONING_WAIT_MAX_MS / 60_000} minutes`,
          {
            hint: "See why with: tidemark status",
          },
        );
      }
      call.output.transient("Waiting for the database to run");
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } finally {
    call.output.transient("");
  }
}
