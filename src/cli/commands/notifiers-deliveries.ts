import type { CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import { deliveriesReply } from "../notifier-replies.ts";
import { printable } from "../output.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const notifiersDeliveries: CommandSpec = {
  name: "notifiers-deliveries",
  group: "Apps",
  summary: "Show what a notifier was told lately, and how it went",
  arguments: [{ name: "<id>", summary: "As `notifiers` lists it" }],
  examples: ["--app my-app notifiers-deliveries 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const zone = await call.timeZone();
    const client = await call.connect();
    const path = route`/v1/apps/${call.app()}/notifiers/${call.argument(0)}/deliveries`;
    const { value, body } = await client.get(path, deliveriesReply);
    const rows = value.deliveries.map((delivery) => [
      formatDate(delivery.created_at, zone),
      delivery.event_type,
      delivery.status,
      String(delivery.attempts),
      printable(delivery.reply ?? ""),
    ]);
    call.output.result(renderTable(["Created At", "Event", "Status", "Attempts", "Reply"], rows));
    call.output.json(body);
  },
};
