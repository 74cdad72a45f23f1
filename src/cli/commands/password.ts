import { randomText } from "../../core/random.ts";
import type { CommandSpec } from "../command.ts";
import { GENERATED_PASSWORD_LENGTH, sayGeneratedPassword } from "../password-choice.ts";
import { TidemarkError } from "../../core/errors.ts";
import { userReply } from "../replies.ts";

export const password: CommandSpec = {
  name: "password",
  group: "Account",
  summary: "Change your password",
  details:
    "Asks for the password of now and for the new one. It ends your logins in browsers; API tokens, and so the logins that are saved on your machines, stay. " +
    "With --password-stdin both are read from standard input, a line each.",
  options: [
    { flags: "--password-stdin", summary: "Read both passwords from standard input" },
    { flags: "--generate-password", summary: "Make the new password and print it once" },
  ],
  examples: ["password", "password --password-stdin < two-lines"],
  async run(call) {
    const client = await call.connect();
    const insteadOf = "--password-stdin";
    const ask = async (question: string): Promise<string> =>
      call.flag("password-stdin") ? call.prompt.readSecretLine() : call.prompt.askSecret(question, { insteadOf });
    const current = await ask("Current password: ");
    const generated = call.flag("generate-password");
    const chosen = generated ? randomText(GENERATED_PASSWORD_LENGTH) : await ask("New password: ");
    if (!generated && !call.flag("password-stdin") && chosen !== (await ask("Once more: "))) {
      throw new TidemarkError("usage", "The two passwords are not the same");
    }
    const user = { current_password: current, password: chosen };
    const { body } = await client.put("/v1/users/account", { user }, userReply);
    call.output.status("Your password has been changed");
    sayGeneratedPassword(call, chosen);
    call.output.json(body);
  },
};
