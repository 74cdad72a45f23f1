import { canonicalProvider } from "../addon-reference.ts";
import type { CommandSpec } from "../command.ts";
import { plansReply } from "../replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const addonsPlans: CommandSpec = {
  name: "addons-plans",
  group: "Databases",
  summary: "List the plans of a kind of database",
  arguments: [{ name: "<provider>", summary: "postgresql" }],
  examples: ["addons-plans postgresql"],
  async run(call) {
    const client = await call.connect();
    const provider = canonicalProvider(call.argument(0));
    const { value, body } = await client.get(route`/v1/addon_providers/${provider}/plans`, plansReply);
    const rows = value.plans.map((plan) => [plan.name, plan.display_name]);
    call.output.result(renderTable(["ID", "Name"], rows));
    call.output.json(body);
  },
};
