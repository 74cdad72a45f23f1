import type { CommandSpec } from "../command.ts";
import { begunSecondFactorReply } from "../replies.ts";

export const twoFactorEnable: CommandSpec = {
  name: "two-factor-enable",
  group: "Account",
  summary: "Make the secret of one-time passwords",
  details:
    "Logins by password ask for a one-time password once you have shown a first one, with `two-factor-confirm`. API tokens, and so the logins that are " +
    "saved on your machines, go on as they are.",
  examples: ["two-factor-enable"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.post("/v1/client/tfa", { tfa: { provider: "totp" } }, begunSecondFactorReply);
    call.output.status("Put this secret into your authenticator");
    call.output.info(`Secret: ${value.tfa.secret}`);
    call.output.info(`Address: ${value.tfa.uri}`);
    call.output.info("Then confirm with the code that it shows: tidemark two-factor-confirm CODE");
    call.output.json(body);
  },
};
