import type { CommandSpec } from "../command.ts";
import { resolveUrl } from "../login.ts";
import { regionsReply } from "../replies.ts";
import { renderTable } from "../table.ts";

export const regions: CommandSpec = {
  name: "regions",
  group: "Platform",
  summary: "Show the platform's addresses",
  examples: ["regions"],
  async run(call) {
    const url = await resolveUrl(call.loginFlags, call.settings);
    const { value, body } = await call.transport(url)({ method: "GET", path: "/v1/regions", decode: regionsReply });
    const rows = value.regions.map((region) => [region.name, region.display_name, region.api]);
    call.output.result(renderTable(["Name", "Display", "API Endpoint"], rows));
    call.output.json(body);
  },
};
