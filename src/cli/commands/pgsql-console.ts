import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { ONE_OFF_OPTIONS, runAttached } from "../one-off-run.ts";
import { variablesReply } from "../replies.ts";
import { route } from "../transport.ts";

const URI = /^(?:postgres|postgis|postgresql):\/\/([^:@/]+):[^@/]+@/;

export const pgsqlConsole: CommandSpec = {
  name: "pgsql-console",
  aliases: ["psql-console", "postgresql-console"],
  group: "Databases",
  summary: "Open psql on one of the app's databases, in a one-off container",
  options: [
    ...ONE_OFF_OPTIONS.filter(({ flags }) => !flags.includes("--env")),
    { flags: "-e, --env <name>", summary: "Variable with the database's URI (the first SCALINGO_POSTGRESQL…)" },
  ],
  examples: ["--app my-app pgsql-console", "--app my-app pgsql-console --env SCALINGO_POSTGRESQL_2_URL"],
  async run(call) {
    const client = await call.connect();
    const path = `${route`/v1/apps/${call.app()}/variables`}?aliases=false`;
    const { variables } = (await client.get(path, variablesReply)).value;
    const wanted = call.option("env") ?? "SCALINGO_POSTGRESQL";
    const found = variables.find(({ name, value }) => name.includes(wanted) && URI.test(value));
    if (found === undefined) {
      throw new TidemarkError("not_found", `No variable whose name has "${wanted}" holds a database's URI`, {
        hint: `See the names with: tidemark --app ${call.app()} env`,
      });
    }
    // By its variable's name: a password has no place in a command line.
    const command = `dbclient-fetcher pgsql && psql-by-variable ${found.name}`;
    await runAttached(call, { command, shown: `pgsql-console ${URI.exec(found.value)?.[1] ?? ""}` });
  },
};
