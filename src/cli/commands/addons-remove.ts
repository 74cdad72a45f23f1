import { TidemarkError } from "../../core/errors.ts";
import { resolveAddonId } from "../addon-reference.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { addonReply } from "../replies.ts";
import { route } from "../transport.ts";

export const addonsRemove: CommandSpec = {
  name: "addons-remove",
  group: "Databases",
  summary: "Remove a database",
  details: "Its logical backups are kept for as long as its plan says.",
  arguments: [{ name: "[addon]", summary: "postgresql, resource id or id; otherwise that of --addon" }],
  options: [{ flags: "--force", summary: "Don't ask" }],
  examples: ["--app my-app addons-remove my_app_4553"],
  async run(call) {
    const app = call.app();
    const reference = call.optionalArgument(0) ?? call.addon();
    const client = await call.connect();
    const addonId = await resolveAddonId(client, { app, reference });
    const { addon } = (await client.get(route`/v1/apps/${app}/addons/${addonId}`, addonReply)).value;
    if (!call.flag("force")) {
      const lines = [
        `-----> Destroy ${addon.id}`,
        "  /!\\  This operation is irreversible",
        "  /!\\  All related data will be destroyed",
        "       To confirm, type the ID of the addon:",
      ];
      call.streams.stderr.write(`${lines.join("\n")}\n`);
      const typed = (await call.prompt.confirm("-----> ", { insteadOf: "--force" })).trim();
      if (typed !== addon.id) {
        throw new TidemarkError("cancelled", `'${typed}' is not '${addon.id}', nothing was removed`);
      }
    }
    const { body } = await client.delete(route`/v1/apps/${app}/addons/${addonId}`, anything);
    call.output.status(`Addon ${addon.id} has been destroyed`);
    call.output.json(body);
  },
};
