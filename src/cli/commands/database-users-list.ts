import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { databaseUsersReply } from "../database-replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const databaseUsersList: CommandSpec = {
  name: "database-users-list",
  group: "Databases",
  summary: "List the users of a database",
  examples: ["--app my-app --addon postgresql database-users-list"],
  async run(call) {
    const { api, addonId } = await openDatabaseTarget(call);
    const { value, body } = await api.get(route`/api/databases/${addonId}/users`, databaseUsersReply);
    const rows = value["database-users"].map((user) => [
      user.name,
      String(user.read_only),
      String(user.protected),
      user.dbms_attributes?.password_encryption ?? "",
    ]);
    call.output.result(renderTable(["Username", "Read-Only", "Protected", "Password Encryption"], rows));
    call.output.json(body);
  },
};
