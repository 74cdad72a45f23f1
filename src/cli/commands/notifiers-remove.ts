import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { route } from "../transport.ts";

export const notifiersRemove: CommandSpec = {
  name: "notifiers-remove",
  group: "Apps",
  summary: "Remove a notifier with its delivery log",
  arguments: [{ name: "<id>", summary: "As `notifiers` lists it" }],
  options: [{ flags: "--force", summary: "Don't ask" }],
  examples: ["--app my-app notifiers-remove 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const id = call.argument(0);
    const client = await call.connect();
    const path = route`/v1/apps/${call.app()}/notifiers/${id}`;
    // A slip is told before anything is asked.
    await client.get(path, anything);
    if (!call.flag("force")) {
      const question = `To confirm, type the id of the notifier (${id}): `;
      const typed = (await call.prompt.confirm(question, { insteadOf: "--force" })).trim();
      if (typed !== id) throw new TidemarkError("cancelled", `'${typed}' is not '${id}', nothing was removed`);
    }
    const { body } = await client.delete(path, anything);
    call.output.status(`Notifier ${id} has been destroyed`);
    call.output.json(body);
  },
};
