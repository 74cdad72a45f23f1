import type { CommandSpec } from "../command.ts";
import { providersReply } from "../replies.ts";
import { renderTable } from "../table.ts";

export const addonsList: CommandSpec = {
  name: "addons-list",
  group: "Databases",
  summary: "List the kinds of databases that the platform offers",
  examples: ["addons-list"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/addon_providers", providersReply);
    const rows = value.addon_providers.map((provider) => [provider.id, provider.name]);
    call.output.result(renderTable(["ID", "Name"], rows));
    call.output.json(body);
  },
};
