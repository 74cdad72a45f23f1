import type { CommandSpec } from "../command.ts";
import { choosePassword, sayGeneratedPassword } from "../password-choice.ts";
import { userReply } from "../replies.ts";
import { route } from "../transport.ts";
import { findUser } from "../user-reference.ts";

export const usersReset: CommandSpec = {
  name: "users-reset",
  group: "Account",
  summary: "Give a user a new password and take the second factor away (the platform's owner only)",
  details: "For somebody who has lost them. It ends every login of that user, API tokens excepted.",
  arguments: [{ name: "<user>", summary: "Name, e-mail address or id, as `users` lists them" }],
  options: [
    { flags: "--password-stdin", summary: "Read the password from standard input" },
    { flags: "--generate-password", summary: "Make a password and print it once" },
  ],
  examples: ["users-reset bob --generate-password"],
  async run(call) {
    const client = await call.connect();
    const { id } = await findUser(client, call.argument(0));
    const password = await choosePassword(call, "New password of the user: ");
    const { value, body } = await client.post(route`/v1/users/${id}/reset`, { user: { password } }, userReply);
    call.output.status(`User ${value.user.username} has a new password, and no second factor`);
    sayGeneratedPassword(call, password);
    call.output.json(body);
  },
};
