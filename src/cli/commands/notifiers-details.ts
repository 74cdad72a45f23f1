import type { CommandSpec } from "../command.ts";
import { describeEvents } from "../notifier-options.ts";
import { notifierReply } from "../notifier-replies.ts";
import { printable } from "../output.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const notifiersDetails: CommandSpec = {
  name: "notifiers-details",
  group: "Apps",
  summary: "Show a notifier",
  arguments: [{ name: "<id>", summary: "As `notifiers` lists it" }],
  examples: ["--app my-app notifiers-details 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const client = await call.connect();
    const path = route`/v1/apps/${call.app()}/notifiers/${call.argument(0)}`;
    const { value, body } = await client.get(path, notifierReply);
    const { notifier } = value;
    const { emails, user_ids: users, webhook_url: url } = notifier.type_data;
    const rows = [
      ["ID", notifier.id],
      ["Type", notifier.type],
      ["Name", printable(notifier.name)],
      ["Enabled", String(notifier.active)],
      ["Selected events", describeEvents(notifier)],
      ...(emails === null ? [] : [["E-mail addresses", printable(emails.join(", "))]]),
      ...(users === null ? [] : [["Users", users.join(", ")]]),
      ...(url === null ? [] : [["Address", printable(url)]]),
    ];
    call.output.result(renderTable(["Notifier", ""], rows));
    call.output.json(body);
  },
};
