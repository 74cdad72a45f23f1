import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";

export const twoFactorDisable: CommandSpec = {
  name: "two-factor-disable",
  group: "Account",
  summary: "Ask for no one-time passwords any more",
  arguments: [{ name: "<code>", summary: "What your authenticator shows now, or a recovery code" }],
  examples: ["two-factor-disable 123456"],
  async run(call) {
    const client = await call.connect();
    const { body } = await client.delete("/v1/client/tfa", anything, { tfa: { attempt: call.argument(0) } });
    call.output.status("Two-factor authentication is disabled");
    call.output.json(body);
  },
};
