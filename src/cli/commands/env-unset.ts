import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { variablesReply } from "../replies.ts";
import { route } from "../transport.ts";

export const envUnset: CommandSpec = {
  name: "env-unset",
  group: "Apps",
  summary: "Remove environment variables of an app",
  details: "All of them, or none when there is one that isn't set. Those of databases go with their database.",
  arguments: [{ name: "<variables...>", summary: "Names" }],
  examples: ["--app my-app env-unset A B"],
  async run(call) {
    const app = call.app();
    const client = await call.connect();
    const path = route`/v1/apps/${app}/variables`;
    const { variables } = (await client.get(`${path}?aliases=true`, variablesReply)).value;
    const found = call.argumentList(0).map((name) => {
      const variable = variables.find((each) => each.name === name);
      if (variable !== undefined) return variable;
      throw new TidemarkError("not_found", `There is no variable "${name}"`, {
        hint: `See the names with: tidemark --app ${app} env`,
      });
    });
    // One request each, as other servers of this API know it, would leave half of them when one is refused.
    const ids = found.map(({ id }) => id);
    const { body } = await client.delete(path, anything, { variable_ids: ids });
    for (const { name } of found) call.output.result(`${name} has been unset.`);
    call.output.json(body);
  },
};
