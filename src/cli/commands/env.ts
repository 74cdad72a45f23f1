import type { CommandSpec } from "../command.ts";
import { printable } from "../output.ts";
import { variablesReply } from "../replies.ts";
import { route } from "../transport.ts";

export const env: CommandSpec = {
  name: "env",
  group: "Apps",
  summary: "Print an app's environment variables",
  details: "Aliases are printed as they are stored, such as DATABASE_URL=$SCALINGO_POSTGRESQL_URL.",
  examples: ["--app my-app env"],
  async run(call) {
    const app = call.app();
    const client = await call.connect();
    const { value, body } = await client.get(`${route`/v1/apps/${app}/variables`}?aliases=true`, variablesReply);
    for (const variable of value.variables) call.output.result(printable(`${variable.name}=${variable.value}`));
    call.output.json(body);
  },
};
