import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { appReply } from "../replies.ts";
import { route } from "../transport.ts";

export const destroy: CommandSpec = {
  name: "destroy",
  group: "Apps",
  summary: "Remove an app with its databases",
  details: "Its logical backups are kept for as long as the plans of its databases say.",
  arguments: [{ name: "[name]", summary: "The app; otherwise that of --app" }],
  options: [{ flags: "--force", summary: "Don't ask" }],
  examples: ["destroy my-app", "destroy my-app --force"],
  async run(call) {
    const client = await call.connect();
    const { app } = (await client.get(route`/v1/apps/${call.optionalArgument(0) ?? call.app()}`, appReply)).value;
    if (!call.flag("force")) {
      call.streams.stderr.write(`  /!\\  You're going to delete ${app.name}, this operation is irreversible.\n`);
      const typed = await call.prompt.confirm("To confirm type the name of the application: ", {
        insteadOf: "--force",
      });
      if (typed.trim() !== app.name) {
        throw new TidemarkError("cancelled", `'${typed}' is not '${app.name}', nothing was deleted`);
      }
    }
    const path = `${route`/v1/apps/${app.name}`}?current_name=${encodeURIComponent(app.name)}`;
    const { body } = await client.delete(path, anything);
    call.output.status(`App ${app.name} has been deleted`);
    call.output.json(body);
  },
};
