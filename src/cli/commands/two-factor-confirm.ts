import type { CommandSpec } from "../command.ts";
import { confirmedSecondFactorReply } from "../replies.ts";

export const twoFactorConfirm: CommandSpec = {
  name: "two-factor-confirm",
  group: "Account",
  summary: "Enable one-time passwords, by a first one, and print recovery codes",
  arguments: [{ name: "<code>", summary: "What your authenticator shows now" }],
  examples: ["two-factor-confirm 123456"],
  async run(call) {
    const client = await call.connect();
    const request = { tfa: { attempt: call.argument(0) } };
    const { value, body } = await client.post("/v1/client/tfa/validate", request, confirmedSecondFactorReply);
    call.output.status("Two-factor authentication is enabled");
    for (const code of value.tfa.codes) call.output.info(code);
    call.output.warning(
      "These recovery codes are shown this once only. Each stands in for one code: keep them in a safe place",
    );
    call.output.json(body);
  },
};
