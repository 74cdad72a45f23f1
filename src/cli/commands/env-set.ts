import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { variablesReply } from "../replies.ts";
import { route } from "../transport.ts";

const NAME = /^[a-zA-Z0-9_-]+$/;

export const envSet: CommandSpec = {
  name: "env-set",
  group: "Apps",
  summary: "Set environment variables of an app",
  details:
    "All of them, or none when one is refused. What follows the first = is the value, more of them included. A value such as " +
    "'$SCALINGO_POSTGRESQL_URL' (quoted, for your shell) follows that variable. Those of databases can't be set.",
  arguments: [{ name: "<assignments...>", summary: "NAME=VALUE, as many as you like" }],
  examples: ["--app my-app env-set A=1 B=2", "--app my-app env-set 'PRIMARY_URL=$SCALINGO_POSTGRESQL_URL'"],
  async run(call) {
    const variables = call.argumentList(0).map(readAssignment);
    const client = await call.connect();
    const { value, body } = await client.put(route`/v1/apps/${call.app()}/variables`, { variables }, variablesReply);
    for (const variable of value.variables) {
      call.output.result(`${variable.name} has been set to '${variable.value}'.`);
    }
    call.output.json(body);
  },
};

function readAssignment(assignment: string): { id: string; name: string; value: string } {
  const equals = assignment.indexOf("=");
  const name = assignment.slice(0, Math.max(equals, 0));
  const value = assignment.slice(equals + 1);
  if (equals === -1 || value === "") {
    throw new TidemarkError("usage", `"${assignment}" is no NAME=VALUE`, {
      hint: "To remove a variable: tidemark env-unset NAME",
    });
  }
  if (!NAME.test(name)) throw new TidemarkError("usage", `"${name}" is no name: letters, digits, _ and - make one`);
  return { id: "", name, value };
}
