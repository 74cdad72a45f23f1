import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { anything } from "../decode.ts";
import { route } from "../transport.ts";

export const databaseUsersDelete: CommandSpec = {
  name: "database-users-delete",
  group: "Databases",
  summary: "Delete a user of a database",
  details: "Its sessions end. What it owns goes to the database's owner.",
  arguments: [{ name: "<username>", summary: "As `database-users-list` shows it" }],
  examples: ["--app my-app --addon postgresql database-users-delete reporting"],
  async run(call) {
    const name = call.argument(0);
    const { api, addonId } = await openDatabaseTarget(call);
    const { body } = await api.delete(route`/api/databases/${addonId}/users/${name}`, anything);
    call.output.status(`User ${name} has been deleted`);
    call.output.json(body);
  },
};
