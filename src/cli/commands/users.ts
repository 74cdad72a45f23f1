import type { CommandSpec } from "../command.ts";
import { printable } from "../output.ts";
import { usersReply } from "../replies.ts";
import { renderTable } from "../table.ts";

export const users: CommandSpec = {
  name: "users",
  group: "Account",
  summary: "List the users of the platform (its owner only)",
  examples: ["users", "users --json"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/users", usersReply);
    const rows = value.users.map((user) => [
      user.id,
      printable(user.username),
      printable(user.email),
      user.platform_owner ? "owner" : "user",
      user.two_factor ? "enabled" : "disabled",
    ]);
    call.output.result(renderTable(["ID", "Username", "Email", "Role", "Two-factor"], rows));
    call.output.json(body);
  },
};
