import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { keysReply } from "../replies.ts";
import { route } from "../transport.ts";

export const keysRemove: CommandSpec = {
  name: "keys-remove",
  group: "Account",
  summary: "Remove a public SSH key; tunnels that it opened end",
  arguments: [{ name: "<name>", summary: "As `keys` lists it" }],
  examples: ["keys-remove laptop"],
  async run(call) {
    const name = call.argument(0);
    const client = await call.connect();
    const { value } = await client.get("/v1/keys", keysReply);
    const key = value.keys.find((each) => each.name === name);
    if (key === undefined) {
      throw new TidemarkError("not_found", `find SSH key ${name}: no such key`, { hint: "tidemark keys lists yours." });
    }
    const { body } = await client.delete(route`/v1/keys/${key.id}`, anything);
    call.output.result(`Key '${name}' has been deleted.`);
    call.output.json(body);
  },
};
