import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { variablesReply } from "../replies.ts";
import { route } from "../transport.ts";

export const envGet: CommandSpec = {
  name: "env-get",
  group: "Apps",
  summary: "Print the value of one of an app's environment variables",
  details: "An alias is followed: DATABASE_URL prints the database's URI.",
  arguments: [{ name: "<variable>", summary: "Its name" }],
  examples: ["--app my-app env-get SCALINGO_POSTGRESQL_URL", 'psql "$(tidemark --app my-app env-get DATABASE_URL)"'],
  async run(call) {
    const app = call.app();
    const client = await call.connect();
    const { value } = await client.get(`${route`/v1/apps/${app}/variables`}?aliases=false`, variablesReply);
    const found = value.variables.find((variable) => variable.name === call.argument(0));
    if (found === undefined) {
      throw new TidemarkError("not_found", "environment variable not found", {
        hint: `See the names with: tidemark --app ${app} env`,
      });
    }
    call.output.result(found.value);
    call.output.json({ variable: found });
  },
};
