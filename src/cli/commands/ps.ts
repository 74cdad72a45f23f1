import type { CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import { containersReply } from "../replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const ps: CommandSpec = {
  name: "ps",
  group: "Apps",
  summary: "List an app's one-off containers that run",
  examples: ["--app my-app ps"],
  async run(call) {
    const zone = await call.timeZone();
    const client = await call.connect();
    const { value, body } = await client.get(route`/v1/apps/${call.app()}/ps`, containersReply);
    const rows = value.containers.map((container) => [
      container.label,
      container.state,
      container.command,
      container.container_size.human_name,
      formatDate(container.created_at, zone),
    ]);
    call.output.result(renderTable(["Name", "Status", "Command", "Size", "Created At"], rows));
    call.output.json(body);
  },
};
