import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { containersReply } from "../replies.ts";
import { route } from "../transport.ts";

export const oneOffStop: CommandSpec = {
  name: "one-off-stop",
  group: "Apps",
  summary: "End a one-off container",
  arguments: [{ name: "<container>", summary: "Its label, or the number in it" }],
  examples: ["--app my-app one-off-stop one-off-12", "--app my-app one-off-stop 12"],
  async run(call) {
    const app = call.app();
    const typed = call.argument(0);
    const label = /^\d+$/.test(typed) ? `one-off-${typed}` : typed;
    const client = await call.connect();
    const { containers } = (await client.get(route`/v1/apps/${app}/ps`, containersReply)).value;
    const found = containers.find((container) => container.label === label);
    if (found === undefined) {
      throw new TidemarkError("not_found", `There is no one-off container "${label}" that runs`, {
        hint: `See them with: tidemark --app ${app} ps`,
      });
    }
    const { body } = await client.post(route`/v1/apps/${app}/containers/${found.id}/stop`, {}, anything);
    call.output.status(`Container one-off ${label} of the app ${app} is being asynchronously stopped...`);
    call.output.json(body);
  },
};
