import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { route } from "../transport.ts";

export const tokensRemove: CommandSpec = {
  name: "tokens-remove",
  group: "Account",
  summary: "Remove an API token; whoever uses it is logged out",
  arguments: [{ name: "<id>", summary: "As `tokens` lists it" }],
  examples: ["tokens-remove 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const client = await call.connect();
    const id = call.argument(0);
    const { body } = await client.delete(route`/v1/tokens/${id}`, anything);
    call.output.status(`API token ${id} has been removed`);
    call.output.json(body);
  },
};
