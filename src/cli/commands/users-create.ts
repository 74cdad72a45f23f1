import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { choosePassword, sayGeneratedPassword } from "../password-choice.ts";
import { userReply } from "../replies.ts";

export const usersCreate: CommandSpec = {
  name: "users-create",
  group: "Account",
  summary: "Make a user of the platform (its owner only)",
  arguments: [{ name: "<username>", summary: "Name to log in with" }],
  options: [
    { flags: "--email <address>", summary: "E-mail address (required)" },
    { flags: "--password-stdin", summary: "Read the password from standard input" },
    { flags: "--generate-password", summary: "Make a password and print it once" },
  ],
  examples: [
    "users-create alice --email alice@example.com",
    "users-create alice --email alice@example.com --generate-password",
  ],
  async run(call) {
    const email = call.option("email");
    if (email === undefined) throw new TidemarkError("usage", "An e-mail address is needed: --email ADDRESS");
    const client = await call.connect();
    const password = await choosePassword(call, "Password of the new user: ");
    const user = { username: call.argument(0), email, password };
    const { value, body } = await client.post("/v1/users", { user }, userReply);
    call.output.status(`User ${value.user.username} has been created`);
    sayGeneratedPassword(call, password);
    call.output.json(body);
  },
};
