import { randomText } from "../../core/random.ts";
import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { userReply } from "../replies.ts";

/** 24 characters of 62: 142 bits. */
const GENERATED_PASSWORD_LENGTH = 24;

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
    const password = await choosePassword(call);
    const user = { username: call.argument(0), email, password };
    const { value, body } = await client.post("/v1/users", { user }, userReply);
    call.output.status(`User ${value.user.username} has been created`);
    if (call.flag("generate-password")) {
      call.output.info(`Password: ${password}`);
      call.output.warning("It is shown this once only: keep it in a safe place");
      // The platform never repeats a password; with --json it would be lost otherwise.
      if (call.json) call.streams.stderr.write(`Password: ${password}\n`);
    }
    call.output.json(body);
  },
};

async function choosePassword(call: CommandCall): Promise<string> {
  if (call.flag("generate-password")) return randomText(GENERATED_PASSWORD_LENGTH);
  if (call.flag("password-stdin")) return call.prompt.readSecretLine();
  const insteadOf = "--password-stdin or --generate-password";
  const password = await call.prompt.askSecret("Password of the new user: ", { insteadOf });
  const repeated = await call.prompt.askSecret("Once more: ", { insteadOf });
  if (password !== repeated) throw new TidemarkError("usage", "The two passwords are not the same");
  return password;
}
