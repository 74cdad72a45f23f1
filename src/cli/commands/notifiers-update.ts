import type { CommandSpec } from "../command.ts";
import { NOTIFIER_OPTIONS, readNotifierOptions } from "../notifier-options.ts";
import { notifierReply } from "../notifier-replies.ts";
import { route } from "../transport.ts";

export const notifiersUpdate: CommandSpec = {
  name: "notifiers-update",
  group: "Apps",
  summary: "Change a notifier; what isn't named stays",
  arguments: [{ name: "<id>", summary: "As `notifiers` lists it" }],
  options: NOTIFIER_OPTIONS,
  examples: ["--app my-app notifiers-update 69230c1fa7b8c9d0e1f2a3b4 --disable"],
  async run(call) {
    const client = await call.connect();
    const notifier = await readNotifierOptions(call, client);
    const path = route`/v1/apps/${call.app()}/notifiers/${call.argument(0)}`;
    const { body } = await client.patch(path, { notifier }, notifierReply);
    call.output.status("Notifier updated");
    call.output.json(body);
  },
};
