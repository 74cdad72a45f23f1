import type { CommandSpec } from "../command.ts";
import { eventTypesReply } from "../notifier-replies.ts";
import { renderTable } from "../table.ts";

export const eventTypes: CommandSpec = {
  name: "event-types",
  group: "Apps",
  summary: "List what a notifier can be told of",
  examples: ["event-types"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/event_types", eventTypesReply);
    const rows = value.event_types.map(({ name, description }) => [name, description ?? ""]);
    call.output.result(renderTable(["Name", "When"], rows));
    call.output.json(body);
  },
};
