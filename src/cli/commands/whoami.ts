import type { CommandSpec } from "../command.ts";
import { userReply } from "../replies.ts";

export const whoami: CommandSpec = {
  name: "whoami",
  aliases: ["self"],
  group: "Account",
  summary: "Tell who is logged in",
  examples: ["whoami"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/users/self", userReply);
    call.output.status(`You are logged in as ${value.user.username} (${value.user.email})`);
    call.output.json(body);
  },
};
