import type { CommandSpec } from "../command.ts";
import { describeEvents } from "../notifier-options.ts";
import { notifiersReply } from "../notifier-replies.ts";
import { printable } from "../output.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const notifiers: CommandSpec = {
  name: "notifiers",
  group: "Apps",
  summary: "List who is told what happens to an app",
  examples: ["--app my-app notifiers"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get(route`/v1/apps/${call.app()}/notifiers`, notifiersReply);
    const rows = value.notifiers.map((notifier) => [
      notifier.id,
      notifier.type,
      printable(notifier.name),
      String(notifier.active),
      String(notifier.send_all_events),
      describeEvents(notifier),
    ]);
    call.output.result(renderTable(["ID", "Type", "Name", "Enabled", "Send all events", "Selected events"], rows));
    call.output.json(body);
  },
};
