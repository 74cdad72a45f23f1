import type { CommandSpec } from "../command.ts";
import { newTokenReply } from "../replies.ts";

export const tokensCreate: CommandSpec = {
  name: "tokens-create",
  group: "Account",
  summary: "Make an API token and print it",
  arguments: [{ name: "<name>", summary: "What it is for; shown in the list" }],
  examples: ["tokens-create ci", "tokens-create ci --json"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.post("/v1/tokens", { token: { name: call.argument(0) } }, newTokenReply);
    call.output.status(`API token ${value.token.name} has been created`);
    call.output.info(`ID: ${value.token.id}`);
    call.output.info(`Token: ${value.token.token}`);
    call.output.warning("It is shown this once only: keep it in a safe place");
    call.output.json(body);
  },
};
