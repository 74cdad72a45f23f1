import type { CommandSpec } from "../command.ts";
import { addonsReply } from "../replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const addons: CommandSpec = {
  name: "addons",
  group: "Databases",
  summary: "List an app's databases",
  examples: ["--app my-app addons"],
  async run(call) {
    const app = call.app();
    const client = await call.connect();
    const { value, body } = await client.get(route`/v1/apps/${app}/addons`, addonsReply);
    const rows = value.addons.map((addon) => [addon.addon_provider.name, addon.id, addon.plan.name, addon.status]);
    call.output.result(renderTable(["Addon", "ID", "Plan", "Status"], rows));
    call.output.json(body);
  },
};
