import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { route } from "../transport.ts";
import { findUser } from "../user-reference.ts";

export const usersRemove: CommandSpec = {
  name: "users-remove",
  group: "Account",
  summary: "Remove a user who owns no app (the platform's owner only)",
  arguments: [{ name: "<user>", summary: "Name, e-mail address or id, as `users` lists them" }],
  examples: ["users-remove bob"],
  async run(call) {
    const client = await call.connect();
    const { id, username } = await findUser(client, call.argument(0));
    const { body } = await client.delete(route`/v1/users/${id}`, anything);
    call.output.status(`User ${username} has been removed`);
    call.output.json(body);
  },
};
