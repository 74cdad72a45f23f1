import type { CommandSpec } from "../command.ts";

export const ownerResetPassword: CommandSpec = {
  name: "owner reset-password",
  group: "Platform",
  summary: "Give the platform's owner a new password, on the platform's own machine",
  examples: ["owner reset-password"],
  async run(call) {
    const { username, password } = await call.local.resetOwnerPassword();
    call.output.status(`The password of ${username} has been changed`);
    call.output.info(`Password: ${password}`);
    call.output.warning("It is shown this once only: keep it in a safe place");
    call.output.json({ username, password });
  },
};
