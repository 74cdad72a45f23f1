import type { CommandSpec } from "../command.ts";
import { secondFactorReply } from "../replies.ts";

export const twoFactor: CommandSpec = {
  name: "two-factor",
  group: "Account",
  summary: "Say whether your logins ask for a one-time password",
  examples: ["two-factor"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/client/tfa", secondFactorReply);
    call.output.status(`Two-factor authentication is ${value.tfa.enabled ? "enabled" : "disabled"}`);
    call.output.json(body);
  },
};
