import type { CommandSpec } from "../command.ts";
import { platformsReply } from "../notifier-replies.ts";
import { renderTable } from "../table.ts";

export const notificationPlatforms: CommandSpec = {
  name: "notification-platforms",
  group: "Apps",
  summary: "List the ways to tell people what happens",
  examples: ["notification-platforms"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/notification_platforms", platformsReply);
    const rows = value.notification_platforms.map(({ name, description }) => [name, description ?? ""]);
    call.output.result(renderTable(["Name", "Description"], rows));
    call.output.json(body);
  },
};
