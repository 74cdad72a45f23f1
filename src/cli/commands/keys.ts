import type { CommandSpec } from "../command.ts";
import { printable } from "../output.ts";
import { keysReply } from "../replies.ts";
import { renderTable } from "../table.ts";

/** What tells one key from another: its type in front, its comment behind. */
const SHOWN_BEFORE = 20;
const SHOWN_AFTER = 30;

export const keys: CommandSpec = {
  name: "keys",
  group: "Account",
  summary: "List your public SSH keys",
  examples: ["keys", "keys --json"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/keys", keysReply);
    const rows = value.keys.map((key) => [printable(key.name), printable(shorten(key.content))]);
    call.output.result(renderTable(["Name", "Content"], rows));
    call.output.json(body);
  },
};

function shorten(content: string): string {
  if (content.length <= SHOWN_BEFORE + SHOWN_AFTER) return content;
  return `${content.slice(0, SHOWN_BEFORE)}...${content.slice(-SHOWN_AFTER)}`;
}
